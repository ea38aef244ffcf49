package part

import "context"

// Reader opens the parts of a batch for reading in order.
type Reader interface {
	open(ctx context.Context, p *Part) (groupReader, error)
}

// Rows yields the rows of parts that follow one another, as those of a batch do. It holds
// one row group at a time, or a piece of one if many batches are read together: see share.
type Rows struct {
	groups cursor
	filter TimeFilter
	most   int // bytes of a group that Rows may hold at a time: see share
	read   int // rows of the group that were in earlier pieces
	cur    sortedColumns
	moves  *int // counts the groups that Rows has moved on from; may be nil

	// ahead says that the next group is read while the caller looks at one, from the second
	// group on, if both are within the share of the batch. A goroutine reads it. The
	// goroutine ends when it has read the group or the context is done, and Wait waits for
	// it.
	ahead  bool
	begun  bool          // the first group was read
	coming chan partRead // gets the next group; nil if no goroutine reads one
}

// NewRows returns the rows of parts that a filter admits.
func NewRows(parts []Part, reader Reader, filter TimeFilter) *Rows {
	return &Rows{groups: cursor{reader: reader, parts: parts}, filter: filter}
}

// ReadAhead makes Rows read the next row group while the caller looks at one, if both are
// within the share of the batch. The caller must call Wait when it needs no more rows.
func (s *Rows) ReadAhead() { s.ahead = true }

// share bounds what sources hold of their batches together: each source gets an equal share
// of bytes. A group that is larger than the share is held, and read, piece by piece. That
// is so if merges cannot keep up and there are very many batches, if a group is large
// because a row is, or if the part is of an older version. Reading in pieces takes more
// time, and not more memory. A piece has one row at least. A read by key holds one page at least.
func share(sources []Source, bytes int) {
	for _, s := range sources {
		most := max(1, bytes/len(sources))
		switch s := s.(type) {
		case *Rows:
			s.most = most
		case *Keyed:
			s.most = most
		case *Ranged:
			s.most = most
		}
	}
}

// inPieces reports whether a group is too large to be held whole. A group may pass the
// share by a quarter: the last rows that fill a group make it a little larger than it
// should be.
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
		return cols, nil // piece steps to the next group
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

// piece returns the next piece of the present group, and steps to the next group after the
// last one.
func (s *Rows) piece(group Columns) (Columns, error) {
	var b ColumnsBuilder // a copy: a reference would hold the whole group
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

// cursor goes through the row groups of several parts.
type cursor struct {
	reader Reader
	parts  []Part      // the first one has the present group
	open   groupReader // reads the first part; nil if that is not open yet
	group  int
}

// more reports whether there is a group to read.
func (c *cursor) more() bool { return len(c.parts) > 0 }

// read returns the rows of the present group. It returns the same ones until step.
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

// size returns about how many bytes of memory the present group takes. If its part is not
// open yet, it returns the size of the whole part.
func (c *cursor) size() int {
	if c.open == nil {
		return c.parts[0].Bytes
	}
	return c.open.size(c.group)
}

// step goes to the next group. REQUIRES: the present one was read.
func (c *cursor) step() {
	if c.group++; c.group == c.open.count() {
		c.parts, c.open = c.parts[1:], nil
	}
}
