"""What words on a page form, by their positions: columns of prose, lines, tables, headings. Pure geometry, no PDF."""
