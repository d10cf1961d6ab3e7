package settings

// Files lists the tables, in the order of docs/settings.md.
var Files = []File{
	GenerationConfig, TokenizerConfig, SpecialTokensMap, AddedTokens, AdapterConfig,
}
