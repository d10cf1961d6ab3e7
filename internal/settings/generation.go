package settings

// Notes that several keys of generation_config.json share.
const (
	ahead    = "guesses tokens ahead and checks each of them: faster elsewhere, with the same results"
	helper   = "is for a second, smaller model, which a program passes to the call and no file names"
	compiled = "changes how fast the reference runs, not what it computes"
	returned = "adds arrays to what the reference's call returns; texts and tokens stay the same"
	whisper  = "is for models that transcribe speech"
	author   = "says which program wrote the file"
	kept     = "how keys and values are kept changes speed and memory only"
	elsewhen = "the reference needs code from the hub for this kind of search; texts are generated without it"
)

// GenerationConfig has the keys of generation_config.json: those of transformers' GenerationConfig, and those that
// older versions and the classes of single models wrote.
var GenerationConfig = File{Name: "generation_config.json", Keys: []Key{
	// Length.
	{Name: "max_length", Effect: Acts,
		Note: "the largest number of tokens with the prompt (of an encoder–decoder: with the token that the decoder " +
			"starts with), if there is no `max_new_tokens`, here or as a setting"},
	{Name: "max_new_tokens", Effect: Acts,
		Note: "the largest number of new tokens; without it and `max_length` there are up to 128"},
	{Name: "min_length", Effect: Acts,
		Note: "no end token before this number of tokens, counted as for `max_length`; `min_new_tokens` replaces it"},
	{Name: "min_new_tokens", Effect: Acts, Note: "no end token before this number of new tokens"},
	{Name: "early_stopping", Effect: Acts, Note: "when beam search ends: `true` with as many finished texts as beams, " +
		"`false` when a better one is unlikely, `\"never\"` when there can be none"},
	{Name: "max_time", Effect: Acts, Note: "seconds after which the texts of a call end"},
	{Name: "stop_strings", Effect: Acts, Note: "texts that end a text, a string or a list; the text is cut before them"},

	// Kind of search.
	{Name: "do_sample", Effect: Acts, Note: "draws tokens by their probability instead of taking the most probable one"},
	{Name: "num_beams", Effect: Acts,
		Note: "searches the most probable texts with this number of beams; with `do_sample` there are none, with a warning"},
	{Name: "num_beam_groups", Effect: Warned, Silent: []string{"1"}, Note: elsewhen},
	{Name: "penalty_alpha", Effect: Warned, Silent: []string{"0"},
		Note: "contrastive search is not supported; " + elsewhen},
	{Name: "dola_layers", Effect: Warned, Note: "decoding by contrasting layers is not supported; " + elsewhen},
	{Name: "constraints", Effect: Warned, Silent: []string{"[]"},
		Note: "constrained beam search is not supported; " + elsewhen},
	{Name: "force_words_ids", Effect: Warned, Silent: []string{"[]"},
		Note: "constrained beam search is not supported; " + elsewhen},
	{Name: "diversity_penalty", Effect: Neutral, Note: "is for the groups of `num_beam_groups`, of which there is one"},
	{Name: "length_penalty", Effect: Acts,
		Note: "of beam search: the exponent of the length that divides the score of a text; above 0 favours long ones"},
	{Name: "low_memory", Effect: Neutral, Note: "makes contrastive search take less memory"},

	// Logits, in the order in which they act.
	{Name: "guidance_scale", Effect: Warned, Silent: []string{"1"},
		Note: "classifier-free guidance is not supported; the logits are used as they are"},
	{Name: "sequence_bias", Effect: Acts,
		Note: "pairs of a list of tokens and a number to add where the last of them would complete the list"},
	{Name: "encoder_repetition_penalty", Effect: Acts,
		Note: "above 1: makes tokens of the prompt (of an encoder–decoder: of the source) more probable"},
	{Name: "repetition_penalty", Effect: Acts, Note: "makes tokens that have occurred less probable"},
	{Name: "no_repeat_ngram_size", Effect: Acts,
		Note: "groups of this number of tokens occur once, the prompt's included, not those of an encoder's source"},
	{Name: "encoder_no_repeat_ngram_size", Effect: Acts,
		Note: "groups of this number of tokens of the prompt (of an encoder–decoder: of the source) do not occur " +
			"again"},
	{Name: "bad_words_ids", Effect: Acts, Note: "lists of tokens that are not generated"},
	{Name: "forced_bos_token_id", Effect: Acts,
		Note: "the token after a prompt of one token, so the first one of an encoder–decoder"},
	{Name: "forced_eos_token_id", Effect: Acts,
		Note: "the last token of a text that reaches its largest length, a number or a list"},
	{Name: "remove_invalid_values", Effect: Acts,
		Note: "takes numbers for logits that are not finite; otherwise they are an error"},
	{Name: "exponential_decay_length_penalty", Effect: Acts,
		Note: "makes end tokens more probable after a number of tokens: `[number, factor]`"},
	{Name: "suppress_tokens", Effect: Acts, Note: "tokens that are not generated"},
	{Name: "begin_suppress_tokens", Effect: Acts, Note: "tokens that are not the first new one"},
	{Name: "temperature", Effect: Acts, Note: "divides the logits, if tokens are drawn"},
	{Name: "top_h", Effect: Acts, Note: "draws from the most probable tokens that have this share of the entropy"},
	{Name: "top_k", Effect: Acts, Note: "draws from the most probable tokens, this number of them"},
	{Name: "top_p", Effect: Acts, Note: "draws from the most probable tokens that make up this probability"},
	{Name: "min_p", Effect: Acts, Note: "draws from tokens that are at least this share as probable as the first one"},
	{Name: "typical_p", Effect: Acts, Note: "draws from the most typical tokens that make up this probability"},
	{Name: "epsilon_cutoff", Effect: Acts, Note: "draws from tokens of at least this probability"},
	{Name: "eta_cutoff", Effect: Acts,
		Note: "draws from tokens of at least this probability, or less where many are likely"},
	{Name: "watermarking_config", Effect: Warned, Note: "texts are not watermarked"},
	{Name: "renormalize_logits", Effect: Neutral,
		Note: "probabilities and the order of tokens are the same without it"},

	// Tokens.
	{Name: "eos_token_id", Effect: Acts, Note: "the tokens that end a text, a number or a list"},
	{Name: "bos_token_id", Effect: Acts, Note: "what the decoder of an encoder–decoder starts with, if there is no " +
		"`decoder_start_token_id`; a causal model begins with its prompt, whose first token the tokenizer writes"},
	{Name: "pad_token_id", Effect: Neutral, Note: "fills the shorter rows of a batch, and no row is filled up here"},
	{Name: "decoder_start_token_id", Effect: Acts,
		Note: "what the decoder of an encoder–decoder starts with; a causal model begins with its prompt"},
	{Name: "token_healing", Effect: Warned, Silent: []string{"false"}, Note: "prompts are continued as they are"},

	// What is returned.
	{Name: "num_return_sequences", Effect: Acts,
		Note: "texts for each prompt, if tokens are drawn or beams are searched; otherwise there is one, with a warning"},
	{Name: "output_attentions", Effect: Neutral, Note: returned},
	{Name: "output_hidden_states", Effect: Neutral, Note: returned},
	{Name: "output_scores", Effect: Neutral, Note: returned},
	{Name: "output_logits", Effect: Neutral, Note: returned},
	{Name: "return_dict_in_generate", Effect: Neutral, Note: returned},

	// Guesses ahead.
	{Name: "use_mtp", Effect: Neutral, Note: ahead},
	{Name: "prompt_lookup_num_tokens", Effect: Neutral, Note: ahead},
	{Name: "max_matching_ngram_size", Effect: Neutral, Note: ahead},
	{Name: "assistant_early_exit", Effect: Neutral, Note: ahead},
	{Name: "speculation_type", Effect: Neutral, Note: helper},
	{Name: "is_assistant", Effect: Warned, Silent: []string{"false"},
		Note: "it makes a text end where the model is not sure; here it does not"},
	{Name: "num_assistant_tokens", Effect: Neutral, Note: helper},
	{Name: "num_assistant_tokens_schedule", Effect: Neutral, Note: helper},
	{Name: "assistant_confidence_threshold", Effect: Neutral, Note: helper},
	{Name: "assistant_lookbehind", Effect: Neutral, Note: helper},
	{Name: "target_lookbehind", Effect: Neutral, Note: helper},
	{Name: "assistant_ensemble_weight", Effect: Neutral, Note: helper},

	// Speed and memory.
	{Name: "use_cache", Effect: Neutral, Note: kept},
	{Name: "cache_implementation", Effect: Warned,
		Silent: []string{`"dynamic"`, `"static"`, `"offloaded"`, `"offloaded_static"`, `"sliding_window"`, `"hybrid"`,
			`"hybrid_chunked"`, `"offloaded_hybrid"`, `"offloaded_hybrid_chunked"`, `"paged"`},
		Note: "keys and values are kept in float32 here"},
	{Name: "cache_config", Effect: Neutral, Note: "is about the cache that `cache_implementation` names"},
	{Name: "max_cache_len", Effect: Neutral, Note: kept},
	{Name: "prefill_chunk_size", Effect: Neutral, Note: compiled},
	{Name: "compile_config", Effect: Neutral, Note: compiled},
	{Name: "disable_compile", Effect: Neutral, Note: compiled},
	{Name: "continuous_batching_config", Effect: Neutral, Note: compiled},

	// The file itself.
	{Name: "transformers_version", Effect: Neutral, Note: author},
	{Name: "_from_model_config", Effect: Neutral, Note: "says that the file was made from config.json"},
	{Name: "_commit_hash", Effect: Neutral, Note: "says which version of a repository the file is from"},
	{Name: "_original_object_hash", Effect: Neutral, Note: "notes whether a program changed the settings"},

	// Other models.
	{Name: "forced_decoder_ids", Effect: Neutral, Note: whisper},
	{Name: "alignment_heads", Effect: Neutral, Note: whisper},
	{Name: "condition_on_prev_tokens", Effect: Neutral, Note: whisper},
	{Name: "compression_ratio_threshold", Effect: Neutral, Note: whisper},
	{Name: "is_multilingual", Effect: Neutral, Note: whisper},
	{Name: "lang_to_id", Effect: Neutral, Note: whisper},
	{Name: "language", Effect: Neutral, Note: whisper},
	{Name: "logprob_threshold", Effect: Neutral, Note: whisper},
	{Name: "max_initial_timestamp_index", Effect: Neutral, Note: whisper},
	{Name: "no_speech_threshold", Effect: Neutral, Note: whisper},
	{Name: "no_timestamps_token_id", Effect: Neutral, Note: whisper},
	{Name: "prev_sot_token_id", Effect: Neutral, Note: whisper},
	{Name: "prompt_condition_type", Effect: Neutral, Note: whisper},
	{Name: "return_timestamps", Effect: Neutral, Note: whisper},
	{Name: "return_token_timestamps", Effect: Neutral, Note: whisper},
	{Name: "task", Effect: Neutral, Note: whisper},
	{Name: "task_to_id", Effect: Neutral, Note: whisper},
}}
