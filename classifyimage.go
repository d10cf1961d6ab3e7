package spalora

import (
	"context"
	"image"
	"iter"

	"github.com/spalora/spalora/tasks/imagecls"
)

// Picture is an image, with the adapter that serves it.
type Picture struct {
	Image   image.Image
	Adapter string // as in [Text]
}

// ClassifyImage returns the class of each image, for a regression its value, in order. The images become pixels as the
// base's preprocessor_config.json says. They have to be upright: package image ignores the orientation that a camera
// notes in a file, package vision reads it. If the model is for another task, ClassifyImage returns an error.
func (m *Model) ClassifyImage(ctx context.Context, images ...image.Image) ([]Class, error) {
	list := make([]Picture, len(images))
	for i, p := range images {
		list[i].Image = p
	}
	return m.ClassifyImages(ctx, list)
}

// ClassifyImages is [Model.ClassifyImage] for images that name their adapters, or with options. Images of several
// adapters share batches.
func (m *Model) ClassifyImages(ctx context.Context, images []Picture, options ...CallOption) ([]Class, error) {
	names, err := perRow(len(images), func(i int) string { return images[i].Adapter }, options)
	if err != nil {
		return nil, err
	}
	list := make([]image.Image, len(images))
	for i, p := range images {
		list[i] = p.Image
	}
	return call(m, names, func(p []*imagecls.Opened) ([]Class, error) {
		return imagecls.ClassifyEach(ctx, list, func(i int) *imagecls.Predictor { return p[i].Predictor })
	})
}

// imagesAtOnce is the number of images of an iterator that are computed together.
const imagesAtOnce = 32

// ClassifyEachImage classifies the images of an iterator, some at a time, so that memory does not grow with their
// number. It yields the class of each, in order, and ends after an error, which it yields last.
func (m *Model) ClassifyEachImage(ctx context.Context, images iter.Seq[image.Image]) iter.Seq2[Class, error] {
	return func(yield func(Class, error) bool) {
		var list []image.Image
		flush := func() bool {
			classes, err := m.ClassifyImage(ctx, list...)
			list = list[:0]
			for _, c := range classes {
				if !yield(c, nil) {
					return false
				}
			}
			return err == nil || yield(Class{}, err) && false
		}
		for p := range images {
			if list = append(list, p); len(list) == imagesAtOnce && !flush() {
				return
			}
		}
		if len(list) > 0 {
			flush()
		}
	}
}
