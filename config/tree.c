/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CHUNK_SIZE (64u << 10)

struct chunk {
	struct chunk *next;
	size_t n, size;
	char bytes[];
};

struct config_tree {
	struct chunk *chunks;
	size_t n_nodes;
};

/* The state of one text's parsing: the open lists and maps, and the key that waits for its value.
 */
struct builder {
	struct config_tree *t;
	struct config_diag *d;
	struct config_node *root;
	struct config_node *stack[CONFIG_DEPTH_MAX];
	struct config_node *key[CONFIG_DEPTH_MAX];
	size_t depth;
	size_t n_documents;
};

struct config_tree *config_tree_new(void)
{
	return calloc(1, sizeof(struct config_tree));
}

void config_tree_free(struct config_tree *t)
{
	struct chunk *c, *next;

	if (!t)
		return;
	for (c = t->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(t);
}

static void *take(struct config_tree *t, size_t size)
{
	struct chunk *c = t->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->n < size) {
		const size_t want = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = calloc(1, sizeof(*c) + want);
		if (!c)
			return NULL;
		c->size = want;
		c->next = t->chunks;
		t->chunks = c;
	}
	p = c->bytes + c->n;
	c->n += size;
	return p;
}

/* libyaml counts from 0. */
static unsigned place(size_t n)
{
	return n >= UINT32_MAX ? UINT32_MAX : (unsigned)n + 1;
}

static struct config_node *node_new(struct builder *b, enum config_node_kind kind, yaml_mark_t at)
{
	struct config_node *n;

	if (b->t->n_nodes >= CONFIG_NODES_MAX) {
		config_error_at(b->d, place(at.line), place(at.column),
				"the text has more than %u values", CONFIG_NODES_MAX);
		return NULL;
	}
	n = take(b->t, sizeof(*n));
	if (!n) {
		config_error_at(b->d, 0, 0, "out of memory");
		return NULL;
	}
	b->t->n_nodes++;
	n->kind = kind;
	n->line = place(at.line);
	n->column = place(at.column);
	return n;
}

/* Hangs a new node into the innermost open list or map. */
static bool attach(struct builder *b, struct config_node *n)
{
	struct config_node *parent, **key;

	if (!b->depth) {
		b->root = n;
		return true;
	}
	parent = b->stack[b->depth - 1];
	key = &b->key[b->depth - 1];
	if (parent->kind == CONFIG_NODE_MAP) {
		if (!*key) {
			if (n->kind != CONFIG_NODE_SCALAR) {
				config_error(b->d, n, "a key must be a word, not %s",
					     n->kind == CONFIG_NODE_LIST ? "a list" : "a map");
				return false;
			}
			*key = n;
			return true;
		}
		n->key = *key;
		*key = NULL;
	}
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->n++;
	return true;
}

static bool add_scalar(struct builder *b, const yaml_event_t *ev)
{
	struct config_node *n = node_new(b, CONFIG_NODE_SCALAR, ev->start_mark);
	char *text;

	if (!n)
		return false;
	n->size = ev->data.scalar.length;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(ev->data.scalar.value, 0, n->size)) {
		config_error(b->d, n, "the text contains a NUL character");
		return false;
	}
	text = take(b->t, n->size + 1);
	if (!text) {
		config_error_at(b->d, 0, 0, "out of memory");
		return false;
	}
	memcpy(text, ev->data.scalar.value, n->size);
	n->text = text;
	return attach(b, n);
}

static bool open_node(struct builder *b, enum config_node_kind kind, yaml_mark_t at)
{
	struct config_node *n = node_new(b, kind, at);

	if (!n || !attach(b, n))
		return false;
	if (b->depth == CONFIG_DEPTH_MAX) {
		config_error(b->d, n, "lists and maps are nested more than %u deep",
			     CONFIG_DEPTH_MAX);
		return false;
	}
	b->stack[b->depth] = n;
	b->key[b->depth] = NULL;
	b->depth++;
	return true;
}

/* Anchors and tags on a node. */
static bool refuse_properties(struct builder *b, const yaml_event_t *ev, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	if (anchor) {
		config_error_at(b->d, place(ev->start_mark.line), place(ev->start_mark.column),
				"anchors and aliases are not supported; use 'defaults:' of a "
				"connection for what its tunnels share");
		return false;
	}
	if (tag) {
		config_error_at(b->d, place(ev->start_mark.line), place(ev->start_mark.column),
				"tags (!...) are not supported; put text into quotes instead");
		return false;
	}
	return true;
}

static bool on_event(struct builder *b, const yaml_event_t *ev)
{
	const unsigned line = place(ev->start_mark.line), column = place(ev->start_mark.column);

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->n_documents++) {
			config_error_at(b->d, line, column,
					"a second document begins here; one file holds one");
			return false;
		}
		return true;
	case YAML_ALIAS_EVENT: return refuse_properties(b, ev, ev->data.alias.anchor, NULL);
	case YAML_SCALAR_EVENT:
		return refuse_properties(b, ev, ev->data.scalar.anchor, ev->data.scalar.tag) &&
		       add_scalar(b, ev);
	case YAML_SEQUENCE_START_EVENT:
		return refuse_properties(b, ev, ev->data.sequence_start.anchor,
					 ev->data.sequence_start.tag) &&
		       open_node(b, CONFIG_NODE_LIST, ev->start_mark);
	case YAML_MAPPING_START_EVENT:
		return refuse_properties(b, ev, ev->data.mapping_start.anchor,
					 ev->data.mapping_start.tag) &&
		       open_node(b, CONFIG_NODE_MAP, ev->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: b->depth--; return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT: return true;
	}
	return true;
}

/* Line and column (in characters, as everywhere) of a byte. */
static void place_of_offset(const char *text, size_t size, size_t offset, unsigned *line,
			    unsigned *column)
{
	size_t i;

	*line = 1;
	*column = 1;
	for (i = 0; i < offset && i < size; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

/* What libyaml said, in words that help. */
static void report_yaml(const yaml_parser_t *y, const char *text, size_t size,
			struct config_diag *d)
{
	const char *problem = y->problem ? y->problem : "the text is no YAML";
	unsigned line, column;

	switch (y->error) {
	case YAML_MEMORY_ERROR: config_error_at(d, 0, 0, "out of memory"); return;
	case YAML_READER_ERROR:
		place_of_offset(text, size, y->problem_offset, &line, &column);
		if (strstr(problem, "control"))
			config_error_at(d, line, column,
					"a control character (0x%02x) stands here; only tab and "
					"line breaks are allowed",
					(unsigned)y->problem_value);
		else
			config_error_at(d, line, column,
					"the text is not UTF-8 (byte %zu); save the file as UTF-8",
					y->problem_offset);
		return;
	case YAML_NO_ERROR:
	case YAML_SCANNER_ERROR:
	case YAML_PARSER_ERROR:
	case YAML_COMPOSER_ERROR:
	case YAML_WRITER_ERROR:
	case YAML_EMITTER_ERROR: break;
	}
	line = place(y->problem_mark.line);
	column = place(y->problem_mark.column);
	if (strstr(problem, "cannot start any token") || strstr(problem, "tab character"))
		config_error_at(d, line, column,
				"this character cannot start a value; indent with spaces, not "
				"tabs, and put text with special characters into quotes");
	else if (y->context && y->context_mark.line != y->problem_mark.line)
		config_error_at(d, line, column,
				"YAML: %s (%s from line %u); check the indentation", problem,
				y->context, place(y->context_mark.line));
	else
		config_error_at(d, line, column, "YAML: %s%s%s%s", problem, y->context ? " (" : "",
				y->context ? y->context : "", y->context ? ")" : "");
}

struct config_node *config_tree_parse(struct config_tree *t, const char *text, size_t size,
				      struct config_diag *d)
{
	struct builder b = {.t = t, .d = d};
	yaml_parser_t y;
	yaml_event_t ev;
	bool ok = true, end = false;

	if (size > CONFIG_TEXT_MAX) {
		config_error_at(d, 0, 0, "the text is longer than %u MiB", CONFIG_TEXT_MAX >> 20);
		return NULL;
	}
	if (!yaml_parser_initialize(&y)) {
		config_error_at(d, 0, 0, "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y, (const unsigned char *)text, size);
	while (ok && !end) {
		if (!yaml_parser_parse(&y, &ev)) {
			report_yaml(&y, text, size, d);
			ok = false;
			break;
		}
		end = ev.type == YAML_STREAM_END_EVENT;
		ok = on_event(&b, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&y);
	if (ok && !b.root) {
		config_error_at(d, 0, 0, "the text is empty; see twinbore.yaml(5)");
		return NULL;
	}
	return ok ? b.root : NULL;
}
