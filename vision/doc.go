// Package vision reads images as transformers' image processors do: from the bytes of a file ([Decode]) to the pixels
// that a vision transformer expects ([Processor]) and their patches ([Patches]). Decoded and resized pixels equal those
// of Pillow 13.0.0; docs/images.md lists the exceptions.
package vision
