package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// neutralConfig lists the keys of config.json that transformers writes, or wrote, for the architectures of this project
// and that change no result of their models: names of classes and types, settings of how a call returns its results,
// of beam search and training, and of heads that other models have. The last ones said how BART, Marian and Pegasus
// differ before each had a class of its own.
var neutralConfig = strings.Fields(`
	_attn_implementation _attn_implementation_autoset _commit_hash _name_or_path _num_labels add_cross_attention
	architectures attn_implementation auto_map bos_token_id chunk_size_feed_forward classifier_dropout
	cross_attention_hidden_size decoder_start_token_id dense_act_fn directionality do_sample dtype encoder_stride
	eos_token_id
	finetuning_task gradient_checkpointing id2label is_decoder is_encoder_decoder is_gated_act label2id
	layer_types max_window_layers model_type n_ctx name_or_path num_labels output_attentions output_hidden_states
	output_past pad_token_id pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head
	pooler_type predict_special_tokens prefix pretraining_tp problem_type reorder_and_upcast_attn return_dict
	rope_interleaved sep_token_id sinusoidal_pos_embds summary_activation summary_first_dropout
	summary_last_dropout summary_proj_to_labels summary_type summary_use_proj task_specific_params tf_legacy_loss
	tie_encoder_decoder tie_weights_ tie_word_embeddings tokenizer_class torch_dtype torchscript
	transformers_version unk_token_id use_bfloat16 use_cache use_return_dict use_sliding_window vocab_size
	xla_device

	add_bias_logits add_final_layer_norm classif_dropout do_blenderbot_90_layernorm extra_pos_embeddings
	force_bos_token_to_be_generated
	normalize_before normalize_embedding static_position_embeddings
`)

// neutralBeside names keys that change nothing beside one that the architecture reads: transformers once wrote
// n_positions for T5, whose positions have no end. Whisper does not scale its words, and the other keys are those of
// its models for classes and of a training without apply_spec_augment.
var neutralBeside = map[string]string{
	"n_positions": "relative_attention_num_buckets", "scale_embedding": "num_mel_bins",
	"use_weighted_layer_sum": "num_mel_bins", "classifier_proj_size": "num_mel_bins",
	"median_filter_width": "num_mel_bins", "mask_time_prob": "apply_spec_augment",
	"mask_time_length": "apply_spec_augment", "mask_time_min_masks": "apply_spec_augment",
	"mask_feature_prob": "apply_spec_augment", "mask_feature_length": "apply_spec_augment",
	"mask_feature_min_masks": "apply_spec_augment",
}

// equals names keys that are another name of a key, from which their value may not differ.
var equals = map[string]string{"num_hidden_layers": "encoder_layers"}

// CheckConfig returns a warning that lists the keys of content, the text of config.json, that nothing reads, or "" if
// there are none. read holds those that the architecture reads. Settings of generation were kept in this file once.
func CheckConfig(content []byte, read []string) (warning string, err error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	var unknown []string
	for name, value := range object {
		_, generation := GenerationConfig.Key(name)
		neutral := generation || string(value) == "null" || slices.Contains(neutralConfig, name) ||
			slices.Contains(read, neutralBeside[name]) ||
			slices.Contains(read, equals[name]) && string(value) == string(object[equals[name]])
		if !neutral && !slices.Contains(read, name) {
			unknown = append(unknown, oneLine(name))
		}
	}
	if len(unknown) == 0 {
		return "", nil
	}
	slices.Sort(unknown)
	return "config.json: not known and without effect: " + strings.Join(unknown, ", "), nil
}
