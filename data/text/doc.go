// Package text reads files of texts and pairs of texts with labels: CSV, TSV, JSON Lines and plain text.
//
//	train, err := text.Read("train.csv", text.Options{})               // rows, checked
//	problem, why, err := text.GuessProblem(train)                      // or data.ParseProblem
//	labels, err := text.FindLabels(problem, data.LabelSource{}, train) // classes in order
//	classes, err := train.Classes(labels)                              // one for each row
//
// [GuessProblem] documents how the problem type follows from the labels, [FindLabels] where the classes and their order
// come from. [File.Classes], [File.Indicators] and [File.Targets] are the targets of the three problem types. Package
// data describes the formats.
package text
