package vision_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/spalora/spalora/vision"
)

// An image file becomes the patches that a vision transformer reads.
func Example() {
	picture := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i)
	}
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		fmt.Println(err)
		return
	}
	m, err := vision.Decode(file.Bytes(), "picture.png", vision.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	config := []byte(`{"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}`)
	p, _, err := vision.NewProcessor(config, "vit", 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	pix, width, height, err := p.Pixels(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	down, across, err := vision.Grid(height, width, 16, 16)
	if err != nil {
		fmt.Println(err)
		return
	}
	patches := vision.Patches(nil, pix, p.Channels(), height, width, 16, 16)
	fmt.Println(p)
	fmt.Printf("%d×%d patches of %d values\n", down, across, len(patches)/(down*across))
	// Output:
	// resize to 32×32 (bilinear), values from -1 to 1
	// 2×2 patches of 768 values
}

// Images of other libraries need no file.
func ExampleFromImage() {
	picture := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	picture.Set(0, 0, color.NRGBA{R: 200, A: 255})
	picture.Set(1, 0, color.NRGBA{G: 100, A: 10}) // alpha is dropped
	fmt.Println(vision.FromImage(picture).Pix)
	// Output: [200 0 0 0 100 0]
}
