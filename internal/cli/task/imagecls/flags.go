package imagecls

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/internal/cli"
)

// addReading defines the flags that say how files of images are read.
func addReading(fs *pflag.FlagSet, o *picture.Options) {
	fs.StringVar(&o.ImageColumn, "image-column", "",
		"`name` of the column with the path of the image"+cli.ByNumber+"; default: image, file_name and other usual names")
	fs.StringVar(&o.LabelColumn, "label-column", "", "`name` of the column with the label")
	fs.StringVar(&o.LabelSeparator, "label-separator", "",
		"`character` between several labels in one CSV field (multi-label)")
	cli.FormatFlags{
		Format: &o.Format, Delimiter: &o.Delimiter, NoHeader: &o.NoHeader, NoQuotes: &o.NoQuotes,
		ReplaceInvalid: &o.ReplaceInvalid,
	}.Add(fs, "imagefolder, zip, idx, csv, tsv, jsonl, txt or image")
}

// addSkipping defines --skip-bad-files.
func addSkipping(fs *pflag.FlagSet, to *int) {
	fs.IntVar(to, "skip-bad-files", 0, "leave out up to this number of images that cannot be read, and list them")
}
