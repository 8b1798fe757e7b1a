# SPDX-License-Identifier: Apache-2.0
"""table: rows for people, as they come. What a row has besides is in its JSON."""

FIRST = ["bench", "op", "what", "implementation", "peer", "step", "suite", "size", "n_sas", "n_prefixes", "n_workers", "how",
         "cycles_per_packet", "crypto_cycles_per_packet", "ratio_to_crypto", "mpps", "gbps"]
HEADS = {"cycles_per_packet": "cycles", "crypto_cycles_per_packet": "crypto", "ratio_to_crypto": "x crypto", "n_sas": "SAs",
         "n_prefixes": "prefixes", "n_workers": "workers", "cycles_alone": "alone", "times_one_worker": "x one",
         "crypto_times_one_worker": "AEAD x", "line_cycles": "line", "trials_without_loss": "lossless", "lost_in_all": "all lost",
         "worst_p99_us": "worst p99", "control_gap_us": "gap", "control_missing_percent": "missing%", "of": "bench"}
HIDDEN = {"packets", "checked", "cycles_per_packet_p50", "batches", "bursts_spread", "bursts_helped", "hugepages", "backend",
          "inner", "outer", "udp", "translated", "train", "aligned", "per_worker_sas", "one_queue",
          "min_us", "p999_us", "max_us", "gap_us", "generator_mpps", "worst_max_us", "control_worst_gap_us",
          "search_line_cycles", "searches"}
WIDTHS = {"what": 48, "how": 24, "bench": 20, "suite": 20, "implementation": 28, "peer": 28, "step": 18, "of": 14}


def how(row):
    """In words, what is unusual about a row of dp_bench."""
    words = [f"{row['inner']} in {row['outer']}"] if (row["inner"], row["outer"]) != (4, 4) else []
    words += [text for key, text in (("udp", "UDP"), ("translated", "translated"), ("aligned", "by owner"),
                                     ("per_worker_sas", "RFC 9611"), ("one_queue", "one queue")) if row[key]]
    return ", ".join(words + ([f"trains of {row['train']}"] if row["train"] > 1 else []))


def cell(v):
    if isinstance(v, bool):
        return "yes" if v else "NO"
    return f"{v:,.3f}".rstrip("0").rstrip(".") if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v)


class Table:
    """A new head when another kind of row begins."""

    def __init__(self):
        self.shape = None

    def print(self, row):
        if "error" in row or "not_available" in row:
            print(f"{row['bench']}: {row.get('implementation') or row.get('peer', '')} "
                  f"{row.get('error') or 'not available: ' + row['not_available']}", flush=True)
            return
        row = {k: v for k, v in row.items() if v is not None}
        if "inner" in row:
            row["how"] = how(row)
        keys = [k for k in FIRST if k in row] + [k for k in row if k not in FIRST and k not in HIDDEN and
                                                 not (k == "disturbed" and row["n_workers"] == 1)]
        heads = [HEADS.get(k, k) for k in keys]
        widths = [max(len(h), WIDTHS.get(k, 8)) for k, h in zip(keys, heads)]
        if keys != self.shape:
            print("\n" + "  ".join(h.rjust(n) for h, n in zip(heads, widths)))
            self.shape = keys
        print("  ".join(cell(row[k]).rjust(n) for k, n in zip(keys, widths)), flush=True)
