package imagecls

import (
	"errors"
	"fmt"
	"image"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/vision"
)

// images are images that are loaded when they are needed.
type images struct {
	file string // name of their file in messages
	n    int
	name func(i int) string
	line func(i int) int
	load func(i int) (*vision.Image, error)
	size func(i int) (width, height int) // before anything is done with it
}

// imagesOf returns the images of a file whose rows [picture.File.Check] has returned.
func imagesOf(f *picture.File) images {
	return images{
		file: f.Name, n: f.Len(), name: f.ImageName, line: func(i int) int { return f.At(i).Line },
		load: func(i int) (*vision.Image, error) { return f.Load(i, vision.Limits{}) },
		size: func(i int) (int, int) { e := f.At(i); return e.Width, e.Height },
	}
}

// imagesIn returns images of a program.
func imagesIn(list []image.Image) (images, error) {
	for i, m := range list {
		if m == nil {
			return images{}, base.Settings(fmt.Errorf("image %d is nil", i+1))
		}
		size := m.Bounds().Size()
		if size.X <= 0 || size.Y <= 0 || size.X > vision.MaxPixels/size.Y {
			return images{}, base.Input(fmt.Errorf("image %d has %d×%d pixels, want at least 1×1 and at most %d", i+1, size.X,
				size.Y, vision.MaxPixels))
		}
	}
	return images{
		file: "images", n: len(list), name: func(i int) string { return fmt.Sprintf("image %d", i+1) },
		line: func(i int) int { return i + 1 },
		load: func(i int) (*vision.Image, error) { return vision.FromImage(list[i]), nil },
		size: func(i int) (int, int) { s := list[i].Bounds().Size(); return s.X, s.Y },
	}, nil
}

// errUnchecked is the error about a file whose images were not read yet.
var errUnchecked = errors.New("the sizes of the images are not known; pass the file that picture.File.Check returns")

// check returns an error if the size of an image is not known.
func (m images) check() error {
	for i := range m.n {
		if w, h := m.size(i); w <= 0 || h <= 0 {
			return fmt.Errorf("imagecls: %s: %w", m.file, errUnchecked)
		}
	}
	return nil
}
