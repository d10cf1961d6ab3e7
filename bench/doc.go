// Package bench measures training as users run it; its sub-packages are commands that compare single parts with other
// systems. docs/performance.md has the figures and the commands that reproduce them.
package bench
