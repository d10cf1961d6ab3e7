package imagecls

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/vision"
)

// Pixels says how images become the input of a model.
type Pixels struct {
	*vision.Processor
	height, width           int // of the images that the model was made for
	patchHeight, patchWidth int
}

// OpenPixels reads how images become the input of the model of a base: the part image_processor of
// processor_config.json, else preprocessor_config.json. It logs what has no effect.
func OpenPixels(b *base.Base, m models.ImageClassifier, log zerolog.Logger) (Pixels, error) {
	channels, height, width := m.Image()
	content, err := b.File(vision.ProcessorFile)
	if err != nil || !vision.HoldsProcessor(content) {
		if content, err = b.File(vision.ConfigFile); errors.Is(err, fs.ErrNotExist) {
			content, err = nil, nil // NewProcessor says that it is missing
		}
	}
	if err != nil {
		return Pixels{}, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	p, warnings, err := vision.NewProcessor(content, b.Info.ModelType, channels)
	if err != nil {
		return Pixels{}, base.Input(fmt.Errorf("%s: %w", b.Name, err))
	}
	for _, w := range warnings {
		log.Warn().Msgf("%s: %s", b.Name, w)
	}
	x := Pixels{Processor: p, height: height, width: width}
	x.patchHeight, x.patchWidth = m.Patch()
	return x, nil
}

// columns returns the number of values of a patch.
func (p Pixels) columns() int { return p.Channels() * p.patchHeight * p.patchWidth }

// grid returns how many patches an image of the given size has, down and across, and whether the model was made for
// images of that size.
func (p Pixels) grid(width, height int) (grid [2]int, usual bool, err error) {
	w, h, err := p.Size(width, height)
	if err != nil {
		return grid, false, err
	}
	down, across, err := vision.Grid(h, w, p.patchHeight, p.patchWidth)
	return [2]int{down, across}, h == p.height && w == p.width, err
}

// patches returns the patches of an image that the processor has prepared.
func (p Pixels) patches(m *vision.Image) []float32 {
	pix := p.Values(m)
	return vision.Patches(make([]float32, 0, len(pix)), pix, p.Channels(), m.Height, m.Width, p.patchHeight, p.patchWidth)
}
