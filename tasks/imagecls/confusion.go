package imagecls

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
)

// ConfusionName is the file of an output directory with the confusion matrix as a picture.
const ConfusionName = "confusion_matrix.png"

// Confusion counts what was predicted for the images of each class.
type Confusion struct {
	Labels []string
	Counts [][]int // of images, by class and by predicted class
}

// NewConfusion counts the most probable classes of logits (n×len(names), row after row) for images of the given
// classes. Images whose class is batch.Ignore do not count.
func NewConfusion(names []string, classes []int32, logits []float32) (Confusion, error) {
	k := len(names)
	flat, err := metrics.Confusion(classes, tasks.ArgMax(logits, k), k)
	if err != nil {
		return Confusion{}, err
	}
	return Confusion{names, slices.Collect(slices.Chunk(flat, k))}, nil
}

// printed is the largest number of classes whose whole matrix is printed, and mistakes that of the mistakes that are
// listed for more classes.
const (
	printed  = 20
	mistakes = 20
)

// String returns the matrix as a table, a row for each class and a column for each predicted one; of more than 20
// classes a list of the most frequent mistakes.
func (c Confusion) String() string {
	if len(c.Labels) > printed {
		return c.list()
	}
	width := 4
	for i, name := range c.Labels {
		width = max(width, min(utf8.RuneCountInString(name), 12))
		for _, n := range c.Counts[i] {
			width = max(width, len(fmt.Sprint(n)))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rows: class, columns: predicted\n%*s", width, "")
	for _, name := range c.Labels {
		fmt.Fprintf(&b, " %*s", width, shortened(name, width))
	}
	for i, row := range c.Counts {
		fmt.Fprintf(&b, "\n%*s", width, shortened(c.Labels[i], width))
		for _, n := range row {
			fmt.Fprintf(&b, " %*d", width, n)
		}
	}
	return b.String()
}

// list returns the most frequent mistakes.
func (c Confusion) list() string {
	type mistake struct{ class, predicted, n int }
	var all []mistake
	for i, row := range c.Counts {
		for j, n := range row {
			if i != j && n > 0 {
				all = append(all, mistake{i, j, n})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b mistake) int { return cmp.Compare(b.n, a.n) })
	if len(all) == 0 {
		return "no image was taken for one of another class"
	}
	lines := []string{"the most frequent mistakes: class, predicted, images"}
	for _, m := range all[:min(len(all), mistakes)] {
		lines = append(lines, fmt.Sprintf("%s, %s, %d", c.Labels[m.class], c.Labels[m.predicted], m.n))
	}
	return strings.Join(lines, "\n")
}

// shortened returns the first characters of a name.
func shortened(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most-1]) + "…"
}

// The picture of a matrix: a square for each pair of classes, with its number if it has room.
const (
	largest    = 2000 // pixels of the matrix, at most, unless a square would be smaller than one
	square     = 40   // pixels of a square, at most
	numbered   = 30   // pixels of a square, at least, that has its number
	margin     = 8
	glyph      = 7  // width of a character
	lineHeight = 13 // of characters
)

// WritePNG writes the matrix as a picture: the darker a square, the larger the share of the images of its row.
func (c Confusion) WritePNG(w io.Writer) error {
	k := len(c.Labels)
	side := max(1, min(square, largest/max(k, 1)))
	left := 2 * margin
	if side >= lineHeight {
		for _, name := range c.Labels {
			left = max(left, 2*margin+glyph*utf8.RuneCountInString(shortened(name, 20)))
		}
	}
	top := 2*margin + 2*lineHeight
	m := image.NewRGBA(image.Rect(0, 0, max(left+k*side+margin, 260), top+k*side+margin))
	draw.Draw(m, m.Bounds(), image.White, image.Point{}, draw.Src)
	text := func(x, y int, s string, ink color.Color) {
		d := font.Drawer{Dst: m, Src: image.NewUniform(ink), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
		d.DrawString(s)
	}
	text(margin, margin+lineHeight-3, "rows: class, columns: predicted", color.Black)
	for i, row := range c.Counts {
		total := 0
		for _, n := range row {
			total += n
		}
		y := top + i*side
		if side >= lineHeight {
			text(margin, y+side/2+4, shortened(c.Labels[i], 20), color.Black)
			name := shortened(c.Labels[i], max(1, (side-2)/glyph))
			text(left+i*side+(side-glyph*utf8.RuneCountInString(name))/2, top-4, name, color.Black)
		}
		for j, n := range row {
			share := float64(n) / float64(max(total, 1))
			x := left + j*side
			gap := min(1, side/8)
			fill := image.NewUniform(shade(share))
			draw.Draw(m, image.Rect(x, y, x+side-gap, y+side-gap), fill, image.Point{}, draw.Src)
			if side >= numbered && n > 0 {
				ink := color.Color(color.Black)
				if share > 0.5 {
					ink = color.White
				}
				label := fmt.Sprint(n)
				text(x+(side-glyph*len(label))/2, y+side/2+4, label, ink)
			}
		}
	}
	return png.Encode(w, m)
}

// shade returns the colour of a share: white to dark blue, so that small shares are seen, too.
func shade(share float64) color.RGBA {
	s := math.Sqrt(share)
	mix := func(from, to float64) uint8 { return uint8(from + (to-from)*s) }
	return color.RGBA{mix(244, 8), mix(247, 48), mix(252, 107), 255}
}
