// Package data holds what the readers of data files share: formats, errors with file and line, labels, and [File], the
// rows of one file. Each kind of example has its own package:
//
//   - text: texts and pairs of texts with labels
//   - tagged: sentences with a tag for each word
//   - question: questions about a context that has the answer
//   - choice: questions with several choices
//   - document: documents and chats for language models
//   - picture: images with labels
//   - pair: source texts with target texts for encoder–decoders
//   - speech: recordings with transcripts
//
// From a file to the classes that a task trains on, with package text:
//
//	train, err := text.Read("train.csv", text.Options{})               // rows, checked
//	problem, why, err := text.GuessProblem(train)                      // or data.ParseProblem
//	labels, err := text.FindLabels(problem, data.LabelSource{}, train) // classes in order
//	classes, err := train.Classes(labels)                              // one for each row
//
// Every error about a file is an [*Error] and names the file and, if there is one, the line at which the row begins.
// Errors about options wrap [ErrOption]. Messages name options in backquotes, as in "say which with `label_column`" or
// "use `format csv`"; a program that has flags for them can rewrite them.
//
// # Formats
//
// Text is UTF-8, with or without a byte order mark; lines end with LF, CRLF or CR; the last one may lack its end. Other
// encodings are errors that name the line and byte (or are replaced and counted, if asked for), and so are NUL bytes,
// rows above 64 MiB, pipes and directories.
//
//   - CSV and TSV have a header unless NoHeader is set; without one, columns go by number from 0. Quotes follow
//     RFC 4180 in both: text between quotes is kept byte for byte, line ends included, and a quote elsewhere is an
//     error. NoQuotes makes quotes plain text. Spaces are kept. Blank lines are skipped and counted; every other row
//     has as many fields as the first.
//   - JSON Lines has one object in every line; blank lines are skipped and counted. A duplicate key, text after the
//     object, half a surrogate pair and a truncated last line are errors. The keys of the first row decide which are
//     used. Instead, the file may be one list of objects, or objects over several lines; it is read row by row as well.
//   - Plain text has one text in every line, empty lines included, and no labels. Package document reads it as one
//     text.
//
// # Labels
//
// In CSV and TSV a label is text: the name of a class with its spaces and case; several names only with a label
// separator. In JSON Lines a string is the name of a class (true and false too), an integer is a class index (or the
// name of a class where all names are integers, see [Labels.OfInteger]), a number with a fraction or exponent is a
// regression target, and a list is several names or indices, or a 0 or 1 for each class: lists of integers are such
// rows if all lists in the data have one length of at least 2 and hold 0 and 1 only.
//
// # Limits
//
// The rows of a file are held in memory. A file whose name ends in .gz is read as what gzip packed, in the format of
// the ending before. Other compressed files, Parquet and spreadsheets are recognised and refused.
package data
