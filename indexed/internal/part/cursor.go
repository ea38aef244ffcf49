package part

import "context"

// Reader opens the parts of batches for reading them in order.
type Reader interface {
	open(ctx context.Context, p *Part) (groupReader, error)
}

// Rows yields the rows of parts that follow one another, as those of a batch do. It holds
// one row group at a time, or a piece of one if many batches are read together: see share.
type Rows struct {
	groups cursor
	filter TimeFilter
	most   int // bytes of a group that are held at a time: see share
	read   int // rows of the group that were in earlier pieces
	cur    sortedColumns
	moves  *int // counts groups that were left; nil if nobody wants to know

	// ahead: from the second group on, the next one is read while the caller looks at one,
	// if both are within the share of the batch, by a goroutine of its own, which has groups
	// for as long. It ends when it has read that, or the context is done; Wait waits for it.
	ahead  bool
	begun  bool          // the first group was read
	coming chan partRead // the next group, unless it is nil
}

// NewRows reads the rows of parts that a filter admits.
func NewRows(parts []Part, reader Reader, filter TimeFilter) *Rows {
	return &Rows{groups: cursor{reader: reader, parts: parts}, filter: filter}
}

// ReadAhead makes the rows read the next row group while the caller looks at one, if both
// are within the share of the batch. The caller must call Wait when it needs no more.
func (s *Rows) ReadAhead() { s.ahead = true }

// share makes batches that are read together hold so many bytes at most. If merges cannot
// keep up, or groups are large because a row is, or the part is of an older version, each
// group is held, and read, piece by piece: reading takes longer, and not more memory. A
// piece has one row at least.
func share(sources []Source, bytes int) {
	for _, s := range sources {
		if b, ok := s.(*Rows); ok {
			b.most = max(1, bytes/len(sources))
		}
	}
}

// inPieces reports whether a group is too large to be held whole, by more than the rows
// that have filled it.
func (s *Rows) inPieces(group *Columns) bool {
	return group.Size()-group.Size()/5 > s.most
}

func (s *Rows) next(ctx context.Context) (Row, bool, error) {
	for {
		if r, ok, err := s.cur.next(ctx); ok || err != nil {
			return r, ok, err
		}
		if s.coming == nil && !s.groups.more() {
			return Row{}, false, nil
		}
		s.cur = sortedColumns{} // not held while the next one is read
		if s.moves != nil {
			*s.moves++
		}
		cols, err := s.readNext(ctx)
		if err != nil {
			return Row{}, false, err
		}
		if s.inPieces(&cols) {
			if cols, err = s.piece(cols); err != nil {
				return Row{}, false, err
			}
		}
		s.cur = sortedColumns{cols: cols, filter: s.filter}
	}
}

// readNext reads the next group, and begins to read the one after it.
func (s *Rows) readNext(ctx context.Context) (cols Columns, err error) {
	if s.coming != nil {
		read := <-s.coming
		s.coming = nil
		cols, err = read.cols, read.err
	} else {
		cols, err = s.groups.read(ctx)
	}
	if err != nil {
		return Columns{}, err
	}
	if s.inPieces(&cols) {
		return cols, nil // piece moves on
	}
	s.groups.step()
	if s.ahead && s.begun && s.groups.more() && cols.Size()+s.groups.size() <= s.most {
		coming := make(chan partRead, 1)
		s.coming = coming
		go func() {
			read := partRead{err: ErrGoexit}
			defer func() { coming <- read }()
			read.cols, read.err = s.groups.read(ctx)
		}()
	}
	s.begun = true
	return cols, nil
}

// Wait returns when no goroutine reads ahead any more.
func (s *Rows) Wait() {
	if s.coming != nil {
		<-s.coming
		s.coming = nil
	}
}

// piece returns what is to be held of the group that was read, and moves on.
func (s *Rows) piece(group Columns) (Columns, error) {
	var b ColumnsBuilder // copied, so that the rest of the group is not held
	for ; s.read < group.Len(); s.read++ {
		key, val := group.Key(s.read), group.Val(s.read)
		if b.Len() > 0 && b.Size()+RowOverhead+len(key)+len(val) > s.most {
			break
		}
		if err := b.Add(key, val, group.Time(s.read), group.Diff(s.read)); err != nil {
			return Columns{}, err
		}
	}
	if s.read == group.Len() {
		s.groups.step()
		s.read = 0
	}
	return b.Columns(), nil
}

// cursor goes through the row groups of parts.
type cursor struct {
	reader Reader
	parts  []Part      // the first is that of the present group
	open   groupReader // reads the first; nil if it was not opened yet
	group  int
}

// more reports whether there is a group to read.
func (c *cursor) more() bool { return len(c.parts) > 0 }

// read returns the rows of the present group, the same ones until step.
func (c *cursor) read(ctx context.Context) (Columns, error) {
	if c.open == nil {
		open, err := c.reader.open(ctx, &c.parts[0])
		if err != nil {
			return Columns{}, err
		}
		c.open, c.group = open, 0
	}
	return c.open.group(ctx, c.group)
}

// size returns what the present group takes in memory, about; if it is the first of its
// part, and that is not open yet, no more than it returns.
func (c *cursor) size() int {
	if c.open == nil {
		return c.parts[0].Bytes
	}
	return c.open.size(c.group)
}

// step goes to the next group. The present one must have been read.
func (c *cursor) step() {
	if c.group++; c.group == c.open.count() {
		c.parts, c.open = c.parts[1:], nil
	}
}
