package settings

// Files lists the tables, in the order of docs/settings.md.
var Files = []File{
	GenerationConfig, TokenizerConfig, SpecialTokensMap, AddedTokens, AdapterConfig,
	ImagePreprocessor,
	TransformerModule, ProcessorKwargs, ProcessingKwargs, TextKwargs, ModelKwargs, ConfigKwargs,
	SentenceTransformer, Module, PoolingModule, DenseModule, NormalizeModule,
	SoundPreprocessor,
}
