package settings

// derived marks settings that the reference computes from others, whatever the file says.
const derived = "the reference computes it from the other settings"

// SoundPreprocessor has the keys of preprocessor_config.json of models that hear: the arguments of transformers'
// WhisperFeatureExtractor. processor_config.json of transformers 5 has them under the key feature_extractor.
var SoundPreprocessor = File{Name: "preprocessor_config.json (sound)", Keys: []Key{
	{Name: "feature_extractor_type", Effect: Refused, Silent: []string{`"WhisperFeatureExtractor"`},
		Note: "only the features of Whisper are computed"},
	{Name: "feature_size", Effect: Acts, Note: "frequency bands of a row of features"},
	{Name: "sampling_rate", Effect: Acts, Note: "samples per second; sound of another rate is resampled"},
	{Name: "hop_length", Effect: Acts, Note: "samples from one row of features to the next"},
	{Name: "chunk_length", Effect: Acts, Note: "seconds of a window"},
	{Name: "n_fft", Effect: Acts, Note: "samples that a row of features is computed from"},
	{Name: "dither", Effect: Refused, Silent: []string{"0"},
		Note: "no noise is added, as it would differ in every run; set it to 0"},
	{Name: "padding_value", Effect: Refused, Silent: []string{"0"}, Note: "windows are padded with silence; set it to 0"},
	{Name: "padding_side", Effect: Refused, Silent: []string{`"right"`},
		Note: "windows are padded at the end; set it to right"},
	{Name: "n_samples", Effect: Neutral, Note: derived},
	{Name: "nb_max_frames", Effect: Neutral, Note: derived},
	{Name: "mel_filters", Effect: Neutral, Note: derived},
	{Name: "do_normalize", Effect: Neutral, Note: "the reference reads it as an argument of calls only"},
	{Name: "return_attention_mask", Effect: Neutral, Note: "the mask of a window is not read by models"},
	{Name: "processor_class", Effect: Neutral, Note: "the tokenizer's files say which one it is"},
	{Name: "image_processor_type", Effect: Refused, Note: "this checkpoint sees; a model that hears is wanted"},
	{Name: "auto_map", Effect: Refused, Silent: []string{"{}"}, Note: "no code of a checkpoint is run; remove it if the " +
		"features are those of Whisper"},
	{Name: "transformers_version", Effect: Neutral, Note: author},
}}
