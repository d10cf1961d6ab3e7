package t5

// The names of classes in the printed tree, as transformers has them.

func (c Config) class(name string) string { return classes[c.ModelType] + name }

// Class names the model in the printed tree.
func (m *ForConditionalGeneration) Class() string {
	return m.Config.class("ForConditionalGeneration")
}

// Class names the model without its head in the printed tree.
func (m *Model) Class() string { return m.Config.class("Model") }

// Class names the encoder alone in the printed tree.
func (m *EncoderModel) Class() string { return m.Encoder.Config.class("EncoderModel") }

// Class names the encoder in the printed tree.
func (e *Encoder) Class() string { return e.Config.class("Stack") }

// Class names the decoder in the printed tree.
func (d *Decoder) Class() string { return d.Config.class("Stack") }

// Class names the block in the printed tree.
func (b *EncoderBlock) Class() string { return b.config.class("Block") }

// Class names the block in the printed tree.
func (b *DecoderBlock) Class() string { return b.config.class("Block") }

// Class names the layer in the printed tree.
func (l *SelfAttention) Class() string { return l.config.class("LayerSelfAttention") }

// Groups names the modules of dotted tags.
func (l *SelfAttention) Groups() map[string]string {
	return map[string]string{"SelfAttention": l.config.class("Attention")}
}

// Class names the layer in the printed tree.
func (l *CrossAttention) Class() string { return l.config.class("LayerCrossAttention") }

// Groups names the modules of dotted tags.
func (l *CrossAttention) Groups() map[string]string {
	return map[string]string{"EncDecAttention": l.config.class("Attention")}
}

// Class names the layer in the printed tree.
func (l *FeedForward) Class() string { return l.config.class("LayerFF") }

// Groups names the modules of dotted tags.
func (l *FeedForward) Groups() map[string]string {
	class := "DenseActDense"
	if l.Gate != nil {
		class = "DenseGatedActDense"
	}
	return map[string]string{"DenseReluDense": l.config.class(class)}
}
