// Package data reads examples from files and decides what their labels mean.
//
// From a file to what a task trains on:
//
//	train, err := data.ReadText("train.csv", data.ReadOptions{})       // rows, checked
//	problem, why, err := data.GuessProblem(train)                     // or data.ParseProblem
//	labels, err := data.FindLabels(problem, data.LabelSource{}, train) // classes in order
//	classes, err := labels.Classes(train)                             // one for each row
//
// Every error about a file is an [*Error] and names the file and, where there
// is one, the line at which the row begins. Errors about options wrap
// [ErrOption]. The remedies in messages are written as flags: the option
// LabelColumn is --label-column.
//
// # Formats
//
// Text is UTF-8, with or without a byte order mark; lines end with LF, CRLF or
// CR; the last one may lack its end. Other encodings are refused with the line
// and byte (or replaced and counted, if asked for), and so are NUL bytes, rows
// above 64 MiB, pipes and directories.
//
//   - CSV and TSV have a header unless NoHeader is set; without one, columns go
//     by number from 0. Quotes follow RFC 4180 in both: what stands between
//     quotes is kept byte for byte, line ends included, and a quote elsewhere is
//     an error. NoQuotes makes quotes plain text. Spaces are kept. Blank lines
//     are skipped and counted; every other row has as many fields as the first.
//   - JSON Lines has one object in every line; blank lines are skipped and
//     counted. A key twice, text after the object, half a surrogate pair or a
//     truncated last line are errors. The keys of the first row decide which are
//     used.
//   - Plain text has one text in every line, empty lines included, and no labels.
//
// # Documents
//
// A causal language model learns documents: [ReadDocuments] reads texts, prompts
// with completions, and chats from the same formats, but a file of plain text is
// one document. docs/data.md has examples.
//
// # Tagged sentences
//
// [ReadTokens] reads sentences with a tag for each word: CoNLL, CoNLL-U, and JSON with
// lists of words and tags or with spans of characters, which become tags. [GuessScheme],
// [TokenTable.Repair] and [FindTags] make classes of them.
//
// # Labels
//
// In CSV and TSV a label is text: the name of a class, spaces and case as they
// are; several names only with LabelSeparator. In JSON Lines a string is the
// name of a class (true and false too), an integer is a class index, a number
// with a fraction or exponent is a regression target, and a list is several
// names or indices, or a 0 or 1 for each class: lists of integers are such rows
// if all lists in the data have one length of at least 2 and hold 0 and 1 only.
// [GuessProblem] says how a problem type follows, [FindLabels] where the classes
// and their order come from.
//
// # Limits
//
// The rows of a table are held in memory. Compressed files, Parquet and
// spreadsheets are recognised and refused.
package data
