package views

import (
	"slices"
	"strings"
)

// diffLine is a line of a comparison of two texts.
type diffLine struct {
	mark     byte // ' ' in both, '-' in the first only, '+' in the second only, '~' for lines left out
	old, new int  // its numbers, from 1; 0 where it is not in that text
	text     string
}

const (
	// diffAround is how many equal lines stand around a change.
	diffAround = 3
	// maxDiffCells bounds the work of a comparison: above it what lies between the first and
	// the last difference counts as replaced whole.
	maxDiffCells = 4 << 20
)

// diff compares two texts by lines; it is empty where they are equal.
func diff(before, after string) []diffLine {
	a, b := textLines(before), textLines(after)
	if slices.Equal(a, b) {
		return nil
	}
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []diffLine
	for i := range head {
		all = append(all, diffLine{' ', i + 1, i + 1, a[i]})
	}
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i := tail; i > 0; i-- {
		all = append(all, diffLine{' ', len(a) - i + 1, len(b) - i + 1, a[len(a)-i]})
	}
	return folds(all)
}

func textLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// middle compares by the longest common subsequence; from is how many equal lines went before.
func middle(a, b []string, from int) (lines []diffLine) {
	if len(a)*len(b) > maxDiffCells {
		for i := range a {
			lines = append(lines, diffLine{'-', from + i + 1, 0, a[i]})
		}
		for i := range b {
			lines = append(lines, diffLine{'+', 0, from + i + 1, b[i]})
		}
		return lines
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width) // of a[i:] and b[j:]
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, diffLine{' ', from + i + 1, from + j + 1, a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			lines = append(lines, diffLine{'-', from + i + 1, 0, a[i]})
			i++
		default:
			lines = append(lines, diffLine{'+', 0, from + j + 1, b[j]})
			j++
		}
	}
	return lines
}

// folds leaves out equal lines that are far from every change.
func folds(all []diffLine) (lines []diffLine) {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.mark != ' ' {
			for k := max(0, i-diffAround); k <= min(len(all)-1, i+diffAround); k++ {
				near[k] = true
			}
		}
	}
	for i, l := range all {
		switch {
		case near[i]:
			lines = append(lines, l)
		case len(lines) == 0 || lines[len(lines)-1].mark != '~':
			lines = append(lines, diffLine{mark: '~'})
		}
	}
	return lines
}

// changes counts the lines of a comparison that are new and that are gone.
func changes(lines []diffLine) (added, removed int) {
	for _, l := range lines {
		switch l.mark {
		case '+':
			added++
		case '-':
			removed++
		}
	}
	return added, removed
}
