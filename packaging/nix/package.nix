# For pkgs/by-name/mc/mcp-reap. Not built by Nix yet: only parsed, and evaluated with stand-ins for its arguments
# (test/packages/recipes.bats).
{
  lib,
  stdenv,
  fetchurl,
  bats,
  jq,
  nodejs,
  parallel,
  util-linux,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "mcp-reap";
  version = "0.2.0";

  src = fetchurl {
    url = "https://mcp-reap.example.org/releases/mcp-reap-${finalAttrs.version}.tar.gz";
    # The first build says what it is: the tarball, which has this file in it, cannot.
    hash = lib.fakeHash;
  };

  strictDeps = true;

  makeFlags = [ "PREFIX=${placeholder "out"}" ];

  doCheck = true;
  nativeCheckInputs = [
    bats
    jq
    nodejs
    parallel
    util-linux
  ];

  meta = {
    description = "Run a server over stdio and leave nothing of it behind";
    homepage = "https://mcp-reap.example.org/";
    license = lib.licenses.mit;
    maintainers = [ ];
    mainProgram = "mcp-reap";
    platforms = lib.platforms.linux;
  };
})
