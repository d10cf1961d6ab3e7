// Package picture reads lists of images with labels: class folders and zip archives of them, folders with metadata.csv
// or metadata.jsonl, CSV, TSV and JSON Lines that name image files, lists of image files, and the IDX files of MNIST.
//
//	train, err := picture.Read("train", picture.Options{})                // rows, without the images
//	problem, why, err := data.GuessProblem(train)                         // or data.ParseProblem
//	labels, err := picture.FindLabels(problem, data.LabelSource{}, train) // classes in order
//	image, err := train.Load(0, vision.Limits{})                          // the first image, decoded
//
// A row says where its image is; [File.Load] reads and decodes it. So memory does not grow with the images, but for an
// IDX file packed with gzip, which can only be read as a whole. Package data describes the formats of rows, and how
// labels become classes.
package picture
