package settings

const (
	ofImageClass = "the reference's processors of ViT, DeiT and BiT do not read it"
	ofImageCall  = "is about how images are given to the reference and where it computes"
)

// ImagePreprocessor has the keys of preprocessor_config.json of models that see: the arguments of transformers'
// ViTImageProcessor, DeiTImageProcessor and BitImageProcessor and those of other image processors that files may have
// kept. processor_config.json of transformers 5 has them under the key image_processor.
var ImagePreprocessor = File{Name: "preprocessor_config.json (images)", Keys: []Key{
	{Name: "image_processor_type", Effect: Acts,
		Note: "the class, which gives the default values of the other keys: ViT, DeiT or BiT, also with Fast or Pil"},
	{Name: "feature_extractor_type", Effect: Acts,
		Note: "the older name of image_processor_type; without both the type of the model decides"},
	{Name: "do_convert_rgb", Effect: Neutral,
		Note: "images are converted to three channels, or to one if the model wants one"},
	{Name: "do_resize", Effect: Acts, Note: "images are resized to size"},
	{Name: "size", Effect: Acts, Note: "a number, a list of height and width, or an object with height and width, " +
		"shortest_edge (and longest_edge), or max_height and max_width"},
	{Name: "default_to_square", Effect: Acts, Note: "whether a number as size is both sides or the shorter one"},
	{Name: "resample", Effect: Acts, Note: "the filter: Pillow's number, 0 to 5, or its name"},
	{Name: "do_center_crop", Effect: Acts, Note: "the middle of the image is cut out, smaller images get black borders"},
	{Name: "crop_size", Effect: Acts, Note: "its size: a number, a list or an object with height and width"},
	{Name: "do_rescale", Effect: Acts, Note: "values from 0 to 255 are multiplied by rescale_factor"},
	{Name: "rescale_factor", Effect: Acts, Note: "1/255 if it is missing"},
	{Name: "do_normalize", Effect: Acts, Note: "image_mean is subtracted and the result divided by image_std"},
	{Name: "image_mean", Effect: Acts, Note: "a number, or a list with one for each channel"},
	{Name: "image_std", Effect: Acts, Note: "a number, or a list with one for each channel"},
	{Name: "do_pad", Effect: Refused, Silent: []string{"false"},
		Note: "images are not padded; remove it, and use do_center_crop, which pads small images"},
	{Name: "pad_size", Effect: Neutral, Note: "acts with do_pad only"},
	{Name: "crop_pct", Effect: Neutral, Note: ofImageClass},
	{Name: "rescale_offset", Effect: Neutral, Note: ofImageClass},
	{Name: "do_reduce_labels", Effect: Neutral, Note: ofImageClass},
	{Name: "do_flip_channel_order", Effect: Neutral, Note: ofImageClass},
	{Name: "size_divisor", Effect: Neutral, Note: ofImageClass},
	{Name: "data_format", Effect: Neutral, Note: ofImageCall},
	{Name: "input_data_format", Effect: Neutral, Note: ofImageCall},
	{Name: "return_tensors", Effect: Neutral, Note: ofImageCall},
	{Name: "device", Effect: Neutral, Note: ofImageCall},
	{Name: "disable_grouping", Effect: Neutral, Note: ofImageCall},
	{Name: "image_seq_length", Effect: Neutral, Note: "is for models that read texts, too"},
	{Name: "model_input_names", Effect: Neutral, Note: ofImageCall},
	{Name: "_valid_processor_keys", Effect: Neutral, Note: "lists the arguments of the version that wrote the file"},
	{Name: "processor_class", Effect: Neutral, Note: "is for models that read texts, too"},
	{Name: "auto_map", Effect: Neutral, Note: "no code of a checkpoint is run, here as in the reference by default"},
	{Name: "transformers_version", Effect: Neutral, Note: author},
}}
