package settings

import "slices"

// roleTokens lists the keys of the tokens that have a role.
var roleTokens = []string{
	"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
}

// namedTokens lists the keys that name special tokens, in tokenizer_config.json and in special_tokens_map.json.
func namedTokens() []Key {
	var keys []Key
	for _, name := range roleTokens {
		keys = append(keys, Key{
			Name: name, Effect: Acts,
			Note: "the token of the role, as a text or as an object with its properties; added if tokenizer.json lacks it",
		})
	}
	return append(keys,
		Key{Name: "*_token", Effect: Acts, Note: "any other token, such as `image_token`: special; added if tokenizer.json " +
			"lacks it"},
		Key{Name: "additional_special_tokens", Effect: Acts, Note: "special tokens without a role, in the spelling before " +
			"transformers 5; `extra_special_tokens` takes precedence"},
		Key{Name: "extra_special_tokens", Effect: Acts, Note: "special tokens without a role: a list, or names with tokens"},
	)
}

// TokenizerConfig is the table of tokenizer_config.json.
var TokenizerConfig = File{Name: "tokenizer_config.json", Keys: slices.Concat(
	namedTokens(),
	[]Key{
		{Name: "model_specific_special_tokens", Effect: Acts, Note: "names with special tokens"},
		{Name: "added_tokens_decoder", Effect: Acts, Note: "all added tokens by id; with it, special_tokens_map.json and " +
			"added_tokens.json are not read"},
		{Name: "tokenizer_class", Effect: Acts, Note: "decides, with `model_type` of config.json, which settings act: " +
			"transformers 5 rebuilds the tokenizers of BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ALBERT, T5, Pegasus, " +
			"mBART, NLLB, GPT-2, Qwen 2 and LLaMA from their vocabulary, and leaves those of TokenizersBackend and " +
			"PreTrainedTokenizerFast as tokenizer.json has them"},
		{Name: "model_max_length", Effect: Acts, Note: "the largest number of tokens, unless an option gives one"},
		{Name: "max_len", Effect: Acts, Note: "older name of `model_max_length`, read if that is missing"},
		{Name: "truncation_side", Effect: Acts, Note: "`left` cuts the beginning of texts that are too long, and makes " +
			"windows from the end; the default is that of the truncation in tokenizer.json, or `right`"},
		{Name: "model_input_names", Effect: Acts, Note: "without `token_type_ids`, all token types are 0; the default is " +
			"that of the tokenizer class"},
		{Name: "split_special_tokens", Effect: Acts, Note: "`true` reads special tokens in a text as ordinary text"},
		{Name: "clean_up_tokenization_spaces", Effect: Acts, Note: "`true` removes blanks before punctuation from decoded " +
			"text, except that of BPE models"},
		{Name: "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", Effect: Acts,
			Note: "`true` cleans up the text of BPE models, too"},
		{Name: "add_prefix_space", Effect: Acts, Note: "a blank before the text, for the classes of RoBERTa, XLM-RoBERTa, " +
			"CamemBERT, ALBERT, GPT-2, Qwen 2 and LLaMA"},
		{Name: "trim_offsets", Effect: Acts, Note: "whether offsets leave out blanks, for RoBERTa's class"},
		{Name: "add_bos_token", Effect: Acts, Note: "`bos_token` before texts, without tokenizer.json; beside it, as in " +
			"transformers 5, its template decides"},
		{Name: "add_eos_token", Effect: Acts, Note: "`eos_token` after texts, without tokenizer.json; beside it, as in " +
			"transformers 5, its template decides"},
		{Name: "do_lower_case", Effect: Acts, Note: "for the classes of BERT and ALBERT; the default is `true`"},
		{Name: "strip_accents", Effect: Acts, Note: "for the classes of BERT; the default is the value of `do_lower_case`"},
		{Name: "tokenize_chinese_chars", Effect: Acts, Note: "for the classes of BERT; the default is `true`"},
		{Name: "legacy", Effect: Acts, Note: "for LLaMA's class: `true` puts the blank of `add_prefix_space` after every " +
			"added token, too"},
		{Name: "extra_ids", Effect: Acts, Note: "the number of sentinel tokens `<extra_id_0>` …, for the classes of T5 " +
			"and ByT5; the default is 100 or 125"},
		{Name: "keep_accents", Effect: Acts, Note: "for ALBERT's class; the default is `false`"},
		{Name: "src_lang", Effect: Acts, Note: "the language of source texts, for the classes of mBART, mBART-50 and NLLB; " +
			"the default is `en_XX` or `eng_Latn`"},
		{Name: "tgt_lang", Effect: Acts, Note: "the language of target texts, for these classes; the default is that of " +
			"source texts"},
		{Name: "legacy_behaviour", Effect: Acts, Note: "for NLLB's class: `true` puts the language after the text"},
		{Name: "offset", Effect: Acts, Note: "for Pegasus' class: the number of ids before its pieces; the default is 103"},
		{Name: "mask_token_sent", Effect: Acts, Note: "for Pegasus' class: the token for a masked sentence"},
		{Name: "separate_vocabs", Effect: Acts, Note: "for Marian's class: `true`, vocabularies of each side, is refused"},
		{Name: "chat_template", Effect: Acts, Note: "the template of chats"},

		{Name: "padding_side", Effect: Neutral, Note: "no padding is computed: results are those of unpadded texts; in " +
			"question answering, the question comes first on both sides"},
		{Name: "pad_token_type_id", Effect: Neutral, Note: "no padding is computed"},
		{Name: "pad_to_multiple_of", Effect: Neutral, Note: "no padding is computed"},
		{Name: "max_length", Effect: Neutral, Note: "transformers does not use it; the limit is `model_max_length`"},
		{Name: "stride", Effect: Neutral, Note: "transformers keeps it without using it"},
		{Name: "truncation_strategy", Effect: Neutral, Note: "transformers keeps it without using it"},
		{Name: "bos_token_id", Effect: Neutral, Note: "transformers reads the token, not its id"},
		{Name: "eos_token_id", Effect: Neutral, Note: "transformers reads the token, not its id"},
		{Name: "unk_token_id", Effect: Neutral, Note: "transformers reads the token, not its id"},
		{Name: "pad_token_id", Effect: Neutral, Note: "transformers reads the token, not its id"},
		{Name: "do_basic_tokenize", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "never_split", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "clean_text", Effect: Neutral, Note: "transformers 5 does not read it: BERT's text is always cleaned"},
		{Name: "wordpieces_prefix", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "spaces_between_special_tokens", Effect: Neutral, Note: "transformers 5 does not read it here"},
		{Name: "sp_model_kwargs", Effect: Neutral, Note: "for SentencePiece's own library, which is not used"},
		{Name: "use_default_system_prompt", Effect: Neutral, Note: "transformers 5 does not read it: chats have a template"},
		{Name: "errors", Effect: Neutral, Note: "bytes that are not UTF-8 are always replaced"},
		{Name: "response_schema", Effect: Neutral, Note: "for reading replies of a model, not for its text"},
		{Name: "response_template", Effect: Neutral, Note: "for reading replies of a model, not for its text"},
		{Name: "chat_control_tokens", Effect: Neutral, Note: "for a clean-up of messages that is off by default"},
		{Name: "name_or_path", Effect: Neutral, Note: "where the tokenizer came from"},
		{Name: "vocab_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "merges_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "tokenizer_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "special_tokens_map_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "added_tokens_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "full_tokenizer_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "chat_template_file", Effect: Neutral, Note: "the files of the directory are read"},
		{Name: "processor_class", Effect: Neutral, Note: "names the class for images or sound"},
		{Name: "backend", Effect: Neutral, Note: "names the library that saved the file"},
		{Name: "files_loaded", Effect: Neutral, Note: "where the tokenizer came from"},
		{Name: "from_slow", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "use_fast", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "is_local", Effect: Neutral, Note: "where the tokenizer came from"},
		{Name: "local_files_only", Effect: Neutral, Note: "where the tokenizer came from"},
		{Name: "trust_remote_code", Effect: Neutral, Note: "no code of a checkpoint is run"},
		{Name: "verbose", Effect: Neutral, Note: "for messages"},
		{Name: "transformers_version", Effect: Neutral, Note: "names the version that wrote the file"},
		{Name: "vocab_size", Effect: Neutral, Note: "the vocabulary itself counts"},
		{Name: "source_lang", Effect: Neutral, Note: "for a clean-up of punctuation that Marian's class of transformers 5 " +
			"does not call"},
		{Name: "target_lang", Effect: Neutral, Note: "transformers 5 does not read it"},
		{Name: "language_codes", Effect: Neutral, Note: "transformers 5 does not read it: the class has the languages"},

		{Name: "auto_map", Effect: Warned, Silent: []string{"{}", "[]"},
			Note: "no code of a checkpoint is run; the tokenizer is that of the other files"},
		{Name: "init_inputs", Effect: Warned, Silent: []string{"[]"},
			Note: "arguments without a name are not read; save the tokenizer with transformers 5"},
		{Name: "fast_tokenizer_files", Effect: Warned, Silent: []string{"[]", `["tokenizer.json"]`},
			Note: "only tokenizer.json is read; give the file of your version this name"},
		{Name: "fix_mistral_regex", Effect: Warned, Silent: []string{"false"},
			Note: "the words of tokenizer.json are used; save the tokenizer with transformers 5 to fix them"},
		{Name: "remove_space", Effect: Warned, Silent: []string{"true"}, Note: "the normalizer of tokenizer.json is used"},
	},
)}

// SpecialTokensMap is the table of special_tokens_map.json, which transformers before version 5 writes.
var SpecialTokensMap = File{Name: "special_tokens_map.json", Keys: namedTokens()}

// AddedTokens is the table of added_tokens.json, which old versions of transformers write. Its keys are the tokens.
var AddedTokens = File{Name: "added_tokens.json", Keys: []Key{
	{Name: "*", Effect: Acts, Note: "a token and its id; added if tokenizer.json lacks it, and special if " +
		"the other files name it as a special token"},
}}
