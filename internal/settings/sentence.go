package settings

import "slices"

// Notes that several keys of the files of sentence-transformers share.
const (
	hubs     = "says how the reference gets files or runs code from the hub"
	onnx     = "is for the reference's other backends"
	rounding = "rounds the reference's arithmetic; here it is float32 over the stored weights"
	devices  = "says where and how the reference computes"
	inTokens = "it changes the tokens of texts; save the tokenizer with it by transformers' save_pretrained, and remove " +
		"it here"
	ofCall = "only encode_query and encode_document of the reference read it; the vectors here are those of encode"
	late   = "is for encoders with a vector for each token, of PyLate and sentence-transformers"
	cross  = "is for cross-encoders and sparse encoders"
	pooled = "a way of pooling; with several the vectors stand side by side, in this order"
	others = "is in a table of its own"
)

// TransformerModule has the keys of sentence_bert_config.json and of the other names that the file has had: the
// arguments of sentence-transformers' Transformer.
var TransformerModule = File{Name: "sentence_bert_config.json", Keys: []Key{
	{Name: "max_seq_length", Effect: Acts, Note: "tokens of a text, special ones included"},
	{Name: "do_lower_case", Effect: Acts, Note: "texts are mapped to lower case before they are tokenized"},
	{Name: "transformer_task", Effect: Refused, Silent: []string{`"feature-extraction"`},
		Note: "vectors are made of hidden states only; this checkpoint is for another kind of model"},
	{Name: "modality_config", Effect: Refused, Silent: []string{
		`{"text": {"method": "forward", "method_output_name": "last_hidden_state"}}`,
		`{"text": {"method": "forward", "method_output_name": ["last_hidden_state"]}}`,
	}, Note: "only the last hidden states of texts are computed"},
	{Name: "module_output_name", Effect: Refused, Silent: []string{`"token_embeddings"`},
		Note: "only the hidden states of tokens are computed; this checkpoint is for another kind of model"},
	{Name: "processing_kwargs", Effect: Acts, Note: others},
	{Name: "processor_kwargs", Effect: Acts, Note: others},
	{Name: "tokenizer_args", Effect: Acts, Note: "the older name of processor_kwargs, and wins over it"},
	{Name: "model_kwargs", Effect: Acts, Note: others},
	{Name: "model_args", Effect: Acts, Note: "the older name of model_kwargs, and wins over it"},
	{Name: "config_kwargs", Effect: Acts, Note: others},
	{Name: "config_args", Effect: Acts, Note: "the older name of config_kwargs, and wins over it"},
	{Name: "tokenizer_name_or_path", Effect: Refused,
		Note: "the tokenizer is that of this directory; copy the other one's files here and remove the key"},
	{Name: "unpad_inputs", Effect: Neutral, Note: "texts are not padded here, which changes no vector"},
	{Name: "query_length", Effect: Neutral, Note: ofCall},
	{Name: "document_length", Effect: Neutral, Note: ofCall},
	{Name: "query_expansion", Effect: Neutral, Note: ofCall},
	{Name: "cache_dir", Effect: Neutral, Note: hubs},
	{Name: "backend", Effect: Neutral, Note: onnx},
}}

// ProcessingKwargs has the keys of processing_kwargs in sentence_bert_config.json, by kind of input.
var ProcessingKwargs = File{Name: "sentence_bert_config.json: processing_kwargs", Keys: []Key{
	{Name: "text", Effect: Acts, Note: "is in a table of its own"},
	{Name: "common", Effect: Acts, Note: "has the keys of text, and wins over it"},
	{Name: "chat_template", Effect: Neutral, Note: "is for chats; the inputs are texts"},
	{Name: "audio", Effect: Neutral, Note: "the inputs are texts"},
	{Name: "image", Effect: Neutral, Note: "the inputs are texts"},
	{Name: "video", Effect: Neutral, Note: "the inputs are texts"},
}}

// TextKwargs has the arguments of a tokenizer's call in processing_kwargs.
var TextKwargs = File{Name: "sentence_bert_config.json: processing_kwargs: text", Keys: []Key{
	{Name: "max_length", Effect: Acts, Note: "tokens of a text, special ones included; wins over max_seq_length"},
	{Name: "truncation", Effect: Refused, Silent: []string{"true", `"longest_first"`, `"only_first"`},
		Note: "texts that are too long are cut; remove it"},
	{Name: "add_special_tokens", Effect: Refused, Silent: []string{"true"},
		Note: "texts have their special tokens; remove it"},
	{Name: "padding", Effect: Neutral, Note: "texts are not padded here, which changes no vector"},
	{Name: "pad_to_multiple_of", Effect: Neutral, Note: "texts are not padded here, which changes no vector"},
	{Name: "padding_side", Effect: Refused, Silent: []string{`"right"`},
		Note: "padding on the left moves the positions of tokens; remove it"},
	{Name: "stride", Effect: Neutral, Note: "is for the parts of long texts, of which the reference takes the first"},
	{Name: "return_tensors", Effect: Neutral, Note: "the reference sets it"},
	{Name: "return_token_type_ids", Effect: Refused, Note: "token types are as the tokenizer says; remove it"},
	{Name: "return_attention_mask", Effect: Neutral, Note: "there is no padding here, so there is no mask"},
	{Name: "logits_to_keep", Effect: Neutral, Note: "is for language models"},
}}

// fromHub are the arguments of every function of transformers that opens a file of the hub.
var fromHub = []Key{
	{Name: "trust_remote_code", Effect: Neutral, Note: hubs},
	{Name: "cache_dir", Effect: Neutral, Note: hubs},
	{Name: "token", Effect: Neutral, Note: hubs},
	{Name: "revision", Effect: Neutral, Note: hubs},
	{Name: "code_revision", Effect: Neutral, Note: hubs},
	{Name: "local_files_only", Effect: Neutral, Note: hubs},
}

// ProcessorKwargs has the keys of processor_kwargs in sentence_bert_config.json, the arguments with which the reference
// opens the tokenizer.
var ProcessorKwargs = File{Name: "sentence_bert_config.json: processor_kwargs", Keys: slices.Concat([]Key{
	{Name: "model_max_length", Effect: Acts, Note: "tokens of a text, special ones included; wins over max_seq_length"},
	{Name: "do_lower_case", Effect: Refused, Note: inTokens},
	{Name: "strip_accents", Effect: Refused, Note: inTokens},
	{Name: "tokenize_chinese_chars", Effect: Refused, Note: inTokens},
	{Name: "add_prefix_space", Effect: Refused, Note: inTokens},
	{Name: "add_bos_token", Effect: Refused, Note: inTokens},
	{Name: "add_eos_token", Effect: Refused, Note: inTokens},
	{Name: "split_special_tokens", Effect: Refused, Silent: []string{"false"}, Note: inTokens},
	{Name: "additional_special_tokens", Effect: Refused, Silent: []string{"[]"}, Note: inTokens},
	{Name: "extra_special_tokens", Effect: Refused, Silent: []string{"[]", "{}"}, Note: inTokens},
	{Name: "tokenizer_file", Effect: Refused, Note: inTokens},
	{Name: "from_slow", Effect: Refused, Silent: []string{"false"}, Note: inTokens},
	{Name: "legacy", Effect: Refused, Note: inTokens},
	{Name: "bos_token", Effect: Refused, Note: inTokens},
	{Name: "eos_token", Effect: Refused, Note: inTokens},
	{Name: "cls_token", Effect: Refused, Note: inTokens},
	{Name: "sep_token", Effect: Refused, Note: inTokens},
	{Name: "unk_token", Effect: Refused, Note: inTokens},
	{Name: "mask_token", Effect: Neutral, Note: "no text has it, unless as an added token of the tokenizer"},
	{Name: "pad_token", Effect: Neutral, Note: "texts are not padded here, which changes no vector"},
	{Name: "padding_side", Effect: Refused, Silent: []string{`"right"`},
		Note: "padding on the left moves the positions of tokens; remove it"},
	{Name: "truncation_side", Effect: Refused, Silent: []string{`"right"`},
		Note: "put it into tokenizer_config.json and remove it here"},
	{Name: "model_input_names", Effect: Refused, Note: "put it into tokenizer_config.json and remove it here"},
	{Name: "subfolder", Effect: Refused, Silent: []string{`""`},
		Note: "the tokenizer is that of this directory; copy the other one's files here and remove the key"},
	{Name: "use_fast", Effect: Neutral, Note: "transformers 5 has fast tokenizers only, which are those here"},
	{Name: "clean_up_tokenization_spaces", Effect: Neutral, Note: "is for making texts of tokens"},
	{Name: "chat_template", Effect: Neutral, Note: "is for chats; the inputs are texts"},
}, fromHub, []Key{{Name: "force_download", Effect: Neutral, Note: hubs}})}

// ModelKwargs has the keys of model_kwargs in sentence_bert_config.json, the arguments with which the reference opens
// the model.
var ModelKwargs = File{Name: "sentence_bert_config.json: model_kwargs", Keys: slices.Concat([]Key{
	{Name: "dtype", Effect: Neutral, Note: rounding},
	{Name: "torch_dtype", Effect: Neutral, Note: rounding},
	{Name: "load_in_8bit", Effect: Warned, Silent: []string{"false"}, Note: "weights are used as they are stored"},
	{Name: "load_in_4bit", Effect: Warned, Silent: []string{"false"}, Note: "weights are used as they are stored"},
	{Name: "quantization_config", Effect: Warned, Silent: []string{"{}"}, Note: "weights are used as they are stored"},
	{Name: "gguf_file", Effect: Refused, Note: "give the GGUF file itself with `model`"},
	{Name: "subfolder", Effect: Refused, Silent: []string{`""`}, Note: "give the directory of the weights with `model`"},
	{Name: "variant", Effect: Refused, Note: "only model.safetensors and its shards are read; rename the files"},
	{Name: "adapter_kwargs", Effect: Refused, Silent: []string{"{}"}, Note: "give the adapter with `adapter`"},
	{Name: "key_mapping", Effect: Refused, Silent: []string{"{}"}, Note: "rename the tensors in the files"},
	{Name: "add_pooling_layer", Effect: Neutral, Note: "no vector depends on the pooler"},
	{Name: "ignore_mismatched_sizes", Effect: Neutral, Note: "the hidden states depend on no weights that could differ"},
	{Name: "output_hidden_states", Effect: Neutral, Note: "adds what no module here reads"},
	{Name: "output_attentions", Effect: Neutral, Note: "adds what no module here reads"},
	{Name: "output_loading_info", Effect: Neutral, Note: "adds what no module here reads"},
	{Name: "use_cache", Effect: Neutral, Note: "is for language models"},
	{Name: "attn_implementation", Effect: Neutral, Note: devices},
	{Name: "experts_implementation", Effect: Neutral, Note: devices},
	{Name: "use_kernels", Effect: Neutral, Note: devices},
	{Name: "low_cpu_mem_usage", Effect: Neutral, Note: devices},
	{Name: "device_map", Effect: Neutral, Note: devices},
	{Name: "max_memory", Effect: Neutral, Note: devices},
	{Name: "offload_folder", Effect: Neutral, Note: devices},
	{Name: "offload_buffers", Effect: Neutral, Note: devices},
	{Name: "tp_plan", Effect: Neutral, Note: devices},
	{Name: "use_safetensors", Effect: Neutral, Note: "only safetensors files are read"},
	{Name: "provider", Effect: Neutral, Note: onnx},
	{Name: "file_name", Effect: Neutral, Note: onnx},
	{Name: "export", Effect: Neutral, Note: onnx},
}, fromHub, []Key{{Name: "force_download", Effect: Neutral, Note: hubs}})}

// ConfigKwargs has the keys of config_kwargs in sentence_bert_config.json that are not those of config.json. All others
// replace a value of config.json, and are refused.
var ConfigKwargs = File{Name: "sentence_bert_config.json: config_kwargs", Keys: slices.Concat([]Key{
	{Name: "use_cache", Effect: Neutral, Note: "is for language models"},
	{Name: "output_hidden_states", Effect: Neutral, Note: "adds what no module here reads"},
	{Name: "output_attentions", Effect: Neutral, Note: "adds what no module here reads"},
	{Name: "attn_implementation", Effect: Neutral, Note: devices},
	{Name: "dtype", Effect: Neutral, Note: rounding},
	{Name: "torch_dtype", Effect: Neutral, Note: rounding},
}, fromHub)}

// SentenceTransformer has the keys of config_sentence_transformers.json.
var SentenceTransformer = File{Name: "config_sentence_transformers.json", Keys: []Key{
	{Name: "prompts", Effect: Acts, Note: "texts by name, one of which `prompt_name` puts before each text"},
	{Name: "default_prompt_name", Effect: Acts,
		Note: "the prompt before each text that is evaluated or predicted, without `prompt` and `prompt_name`"},
	{Name: "similarity_fn_name", Effect: Acts, Note: "the similarity of two vectors: cosine, dot, euclidean or manhattan"},
	{Name: "truncate_dim", Effect: Acts, Note: "values of a vector that are kept, from the first"},
	{Name: "model_type", Effect: Refused, Silent: []string{`"SentenceTransformer"`},
		Note: "this checkpoint is for another kind of model"},
	{Name: "__version__", Effect: Neutral, Note: "says which programs wrote the file"},
	{Name: "requirements", Effect: Neutral, Note: "lists the versions of Python packages that the reference needs"},
	{Name: "activation_fn", Effect: Neutral, Note: cross},
	{Name: "keep_in_fp32_modules", Effect: Neutral, Note: cross},
	{Name: "max_active_dims", Effect: Neutral, Note: cross},
	{Name: "query_prefix", Effect: Neutral, Note: late},
	{Name: "document_prefix", Effect: Neutral, Note: late},
	{Name: "query_length", Effect: Neutral, Note: late},
	{Name: "document_length", Effect: Neutral, Note: late},
	{Name: "attend_to_expansion_tokens", Effect: Neutral, Note: late},
	{Name: "skiplist_words", Effect: Neutral, Note: late},
	{Name: "do_query_expansion", Effect: Neutral, Note: late},
}}

// Module has the keys of an entry of modules.json.
var Module = File{Name: "modules.json", Keys: []Key{
	{Name: "type", Effect: Acts,
		Note: "Transformer, Pooling, perhaps Dense and Normalize, in this order; any other module is refused"},
	{Name: "path", Effect: Acts, Note: "the directory of the module's config.json"},
	{Name: "idx", Effect: Neutral, Note: "modules are in the order of the list"},
	{Name: "name", Effect: Neutral, Note: "is for messages of the reference"},
	{Name: "kwargs", Effect: Neutral, Note: "names arguments of calls of the reference"},
}}

// PoolingModule has the keys of 1_Pooling/config.json.
var PoolingModule = File{Name: "1_Pooling/config.json", Keys: []Key{
	{Name: "pooling_mode", Effect: Acts, Note: "the ways of pooling, one or a list: cls, max, mean, " +
		"mean_sqrt_len_tokens, weightedmean and lasttoken; wins over the keys below"},
	{Name: "pooling_mode_cls_token", Effect: Acts, Note: pooled},
	{Name: "pooling_mode_max_tokens", Effect: Acts, Note: pooled},
	{Name: "pooling_mode_mean_tokens", Effect: Acts, Note: pooled},
	{Name: "pooling_mode_mean_sqrt_len_tokens", Effect: Acts, Note: pooled},
	{Name: "pooling_mode_weightedmean_tokens", Effect: Acts, Note: pooled},
	{Name: "pooling_mode_lasttoken", Effect: Acts, Note: pooled},
	{Name: "include_prompt", Effect: Acts, Note: "whether the tokens of the prompt count"},
	{Name: "embedding_dimension", Effect: Neutral, Note: "the width is that of the model"},
	{Name: "word_embedding_dimension", Effect: Neutral, Note: "the width is that of the model"},
}}

// DenseModule has the keys of 2_Dense/config.json.
var DenseModule = File{Name: "2_Dense/config.json", Keys: []Key{
	{Name: "in_features", Effect: Acts, Note: "values of the vector that pooling makes"},
	{Name: "out_features", Effect: Acts, Note: "values of the new vector"},
	{Name: "bias", Effect: Acts, Note: "the layer has a bias"},
	{Name: "activation_function", Effect: Acts, Note: "`Tanh`, the default, or `Identity`; any other is refused"},
	{Name: "module_input_name", Effect: Refused, Silent: []string{`"sentence_embedding"`},
		Note: "only the vector of a text goes through the layer"},
	{Name: "module_output_name", Effect: Refused, Silent: []string{`"sentence_embedding"`},
		Note: "only the vector of a text goes through the layer"},
	{Name: "use_residual", Effect: Refused, Silent: []string{`false`}, Note: "the input is not added to the output"},
}}

// NormalizeModule has the keys of 2_Normalize/config.json.
var NormalizeModule = File{Name: "2_Normalize/config.json", Keys: []Key{
	{Name: "module_input_name", Effect: Refused, Silent: []string{`"sentence_embedding"`},
		Note: "only the vector of a text is divided by its length"},
	{Name: "module_output_name", Effect: Refused, Silent: []string{`"sentence_embedding"`},
		Note: "only the vector of a text is divided by its length"},
}}
