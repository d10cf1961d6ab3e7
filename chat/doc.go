// Package chat turns chats into the text that a model was trained on, with the chat
// template of its checkpoint, and says which parts of that text the assistant wrote.
//
//	t, err := chat.Load(src.File)
//	text, err := t.Render(messages, chat.Options{AddGenerationPrompt: true})
//	segments, err := t.Segments(messages, 0, chat.Options{})
//
// Templates are Jinja, rendered as transformers' apply_chat_template does it:
// trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, a tojson
// that keeps < and >, and {% generation %} blocks. Expressions are evaluated by
// github.com/ardanlabs/jinja. This package reads the text around them itself, because
// that library strips white space across tags and lets variables that are set in a
// loop live on in its next round; what it does not know, or would silently do in
// another way than Jinja, is refused by name when the template is loaded or rendered.
//
// # Templates that go wild
//
// A template comes with a checkpoint and is a program. Rounds of loops, calls of
// macros and their depth, numbers of range, lengths of variables, the length of the
// output and the time are limited; reaching a limit is an error. What one expression
// does within itself is not limited: repeating a string with *, replace, indent or
// join can still ask for more memory than there is. Load no templates from people
// whom you would not take a program from.
//
// # Differences from Jinja that remain
//
// Reading an attribute of something undefined is undefined, not an error; lstrip()
// and rstrip() without arguments strip spaces, tabs and line ends only; none joined to a
// string with ~ or + is empty instead of "None" or an error.
package chat
