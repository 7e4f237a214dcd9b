.mcpServers[]? |= if (.command | type) == "string" and (.command | test("(^|/)mcp-reap$") | not)
	then .args = ["--", .command] + (.args // []) | .command = "mcp-reap" else . end
