package spalora

import (
	"context"
	"slices"

	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/tasks/seq2seq"
)

// Rewrite writes what an encoder–decoder makes of a source: its summary, its correction, a sentence for a table;
// with the settings of [seq2seq.Settings], else those that the adapter remembers and of the checkpoint's
// generation_config.json. The source gets NumReturnSequences texts (1 by default), or as many for each adapter that
// [Use] names. A source that is longer than the settings allow is cut. If the model is for another task, Rewrite
// returns an error.
func (m *Model) Rewrite(ctx context.Context, source string, options ...CallOption) ([]Generated, error) {
	names := each(options)
	return m.rewrite(ctx, slices.Repeat([]string{source}, len(names)), names)
}

// RewriteAll writes what an encoder–decoder makes of each source, in order, with the adapter that it names. Sources
// of several adapters share batches. See [Model.Rewrite].
func (m *Model) RewriteAll(ctx context.Context, sources []Text, options ...CallOption) ([]Generated, error) {
	names, err := perRow(len(sources), adapterOf(sources), options)
	if err != nil {
		return nil, err
	}
	return m.rewrite(ctx, textsOf(sources), names)
}

// Translate is [Model.Rewrite] for translators: languages and prefix are settings that the adapter remembers.
func (m *Model) Translate(ctx context.Context, text string, options ...CallOption) ([]Generated, error) {
	return m.Rewrite(ctx, text, options...)
}

// TranslateAll is [Model.RewriteAll] for translators.
func (m *Model) TranslateAll(ctx context.Context, texts []Text, options ...CallOption) ([]Generated, error) {
	return m.RewriteAll(ctx, texts, options...)
}

// rewrite writes a target for each source with the adapter of the same number.
func (m *Model) rewrite(ctx context.Context, sources []string, adapters []string) ([]Generated, error) {
	return call(m, adapters, func(p []*seq2seq.Opened) ([]Generated, error) {
		if len(p) == 0 {
			return nil, ctx.Err()
		}
		var out []Generated
		_, err := seq2seq.GenerateEach(ctx, sources, func(i int) *seq2seq.Predictor { return p[i].Predictor }, p[0].Decoding,
			func(_ int, list []generate.Sequence) error {
				out = append(out, list...)
				return nil
			})
		return out, err
	})
}
