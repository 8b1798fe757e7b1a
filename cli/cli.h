/* SPDX-License-Identifier: Apache-2.0 */
/* cli: what the commands of `twinbore` share. See main.c for the whole. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum cli_exit {
	CLI_OK = 0,
	CLI_ERROR = 1,
	CLI_USAGE = 2,
	CLI_DEGRADED = 3,
};

#define CLI_DEFAULT_SOCKET "/run/twinbore/control.sock"

enum cli_option {
	CLI_OPT_WATCH = 1 << 0,
	CLI_OPT_COUNT = 1 << 1,
	CLI_OPT_INTERVAL = 1 << 2,
	CLI_OPT_FOLLOW = 1 << 3,
	CLI_OPT_IKE = 1 << 4,
	CLI_OPT_WAIT = 1 << 5,
	CLI_OPT_OUT = 1 << 6,
	CLI_OPT_ALL = 1 << 7,
	CLI_OPT_NAME = 1 << 8,
	CLI_OPT_TYPE = 1 << 9,
	CLI_OPT_SAN = 1 << 10,
	CLI_OPT_DAYS = 1 << 11,
	CLI_OPT_REASON = 1 << 12,
	CLI_OPT_TABLE = 1 << 13,
	CLI_OPT_FORCE = 1 << 14,
};

struct cli_args {
	const char *socket;
	bool json;
	unsigned given; /* enum cli_option */
	unsigned count;
	double interval_s, wait_s;
	const char *out;
	const char *table;                      /* NULL: all */
	const char *name, *type, *san, *reason; /* pki; NULL: not given */
	unsigned days;                          /* likewise; 0 */
	const char *words[4];                   /* after the command's name */
	size_t n_words;
};

/* Commands: each returns an enum cli_exit. */
int cli_status(const struct cli_args *a);
int cli_show(const struct cli_args *a);
int cli_explain(const struct cli_args *a);
int cli_explain_route(const struct cli_args *a);
int cli_what_if(const struct cli_args *a);
int cli_tunnel(const struct cli_args *a);
int cli_doctor(const struct cli_args *a);
int cli_up(const struct cli_args *a);
int cli_down(const struct cli_args *a);
int cli_rekey(const struct cli_args *a);
int cli_redirect(const struct cli_args *a);
int cli_reload(const struct cli_args *a);
int cli_events(const struct cli_args *a);
int cli_check(const struct cli_args *a);
/* check_kem.c: appends warnings. */
struct config;
struct config_errors;
void cli_check_kem(const char *text, size_t size, const struct config *c, struct config_errors *e);
int cli_genpsk(const struct cli_args *a);
int cli_pki(const struct cli_args *a);

/* "twinbore: text" on standard error; with --json also {"error": ...} on standard output. */
int cli_fail(const struct cli_args *a, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A value for programs, indented; takes it. */
void cli_print_json(json_t *value);

/* ------------------------------------------------------------------ terminal (terminal.c) */

enum cli_colour {
	CLI_PLAIN,
	CLI_GREEN,
	CLI_YELLOW,
	CLI_RED,
	CLI_BOLD,
	CLI_DIM,
};

void cli_terminal_init(void);
bool cli_is_tty(void);
unsigned cli_width(void); /* of the terminal; 0 = not limited */
/* The sequences that switch a colour on and off; "" when there are no colours. */
const char *cli_on(enum cli_colour c);
const char *cli_off(enum cli_colour c);

/*
 * Text that came from elsewhere, safe for a terminal: what is not printable ASCII becomes \xNN.
 * The caller frees it.
 */
char *cli_safe(const char *s);
/* One line of a file, one character for one: what cannot be shown becomes '?'. */
void cli_safe_line(const char *s, size_t n, char *out, size_t size);

/* ----------------------------------------------------------------------- numbers (human.c) */

/* "1.2 MiB", "3.4 Mbit/s", "1.2 kpps", "1h02m"; each holds CLI_HUMAN_SIZE. */
#define CLI_HUMAN_SIZE 24
const char *cli_bytes(uint64_t n, char buf[CLI_HUMAN_SIZE]);
const char *cli_bitrate(uint64_t bps, char buf[CLI_HUMAN_SIZE]);
const char *cli_packet_rate(uint64_t pps, char buf[CLI_HUMAN_SIZE]);
const char *cli_age(double seconds, char buf[CLI_HUMAN_SIZE]);

double cli_now(void); /* seconds on the monotonic clock */

/* Members of a JSON object. */
const char *cli_str(const json_t *o, const char *name); /* "" when absent */
uint64_t cli_num(const json_t *o, const char *name);    /* 0 when absent */
double cli_real(const json_t *o, const char *name);     /* 0 when absent */
bool cli_bool(const json_t *o, const char *name);       /* false when absent */
/* Strings of an array, joined; the caller frees it. */
char *cli_join(const json_t *array, const char *separator);

/* --------------------------------------------------------------------- tables (table.c) */

struct cli_column {
	const char *title;
	bool right;
	unsigned drop; /* on a narrow terminal the highest goes first; 0 = stays */
};

struct cli_table;
struct cli_table *cli_table_new(const struct cli_column *columns, size_t n);
/* The next cell of the row; a row ends by itself. NULL or "" is shown as "-". */
void cli_cell(struct cli_table *t, enum cli_colour colour, const char *text);
void cli_cellf(struct cli_table *t, enum cli_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints with the indent given, and frees. Nothing at all when there are no rows. */
void cli_table_print(struct cli_table *t, unsigned indent);

/* -------------------------------------------------------------------- gateway (client.c) */

struct cli_client;

/* NULL after cli_fail(). */
struct cli_client *cli_connect(const struct cli_args *a);
/* NULL without a word. */
struct cli_client *cli_connect_quietly(const struct cli_args *a);
void cli_close(struct cli_client *c); /* NULL is fine */
/*
 * Sends a request and waits for its answer. Takes `params` (NULL: none). NULL after cli_fail();
 * else the result, which the caller releases.
 */
json_t *cli_call(struct cli_client *c, const struct cli_args *a, const char *method,
		 json_t *params);
/* The same by a connection of its own. */
json_t *cli_ask(const struct cli_args *a, const char *method, json_t *params);
/* {"tunnel": name}; NULL after cli_fail(): the name is no text that can be sent. */
json_t *cli_tunnel_params(const struct cli_args *a, const char *name);
/* cli_call() without a word about errors. */
json_t *cli_call_quietly(struct cli_client *c, const char *method);
/*
 * The next event, when one comes in time: the caller releases it. NULL otherwise, with *over = true
 * when there will be no more.
 */
json_t *cli_next_event(struct cli_client *c, double timeout_s, bool *over);
/* What the gateway's last line said before it closed the connection, or why it is gone. */
const char *cli_last_error(const struct cli_client *c);

/* --------------------------------------------------------------- parts of output (show.c) */

int cli_show_routes(const struct cli_args *a);
/* The cells AS_PATH, MED, ORIGIN and NEXT HOP of a route (routes.c). */
void cli_path_cells(struct cli_table *t, const json_t *o);
/* The cell PREFIX of a route, with its name at the peer if that is another one (routes.c). */
void cli_prefix_cell(struct cli_table *t, const json_t *o);
int cli_show_bgp(const struct cli_args *a);
int cli_show_bfd(const struct cli_args *a);
/* Something that comes by pages; takes `params`. `none`: said when there is nothing. */
int cli_show_pages(const struct cli_args *a, const char *method, const char *member, json_t *params,
		   void (*print)(const json_t *list), const char *none);
bool cli_is_prefix(const char *word); /* or an address */

void cli_print_connections(const json_t *connections, unsigned indent);
void cli_print_tunnels(const json_t *tunnels, unsigned indent);

#endif
