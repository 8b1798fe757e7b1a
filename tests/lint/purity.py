# SPDX-License-Identifier: Apache-2.0
"""What a pure core may call, and how to find out what it calls.

The rule: ike/, esp/, pki/, routing/ and config/ (and bgp/) turn events into actions. Time, randomness,
packets and files come from outside, so that each core can be tested, fuzzed and simulated alone.
The proof is in the object code: every symbol that a core's static library leaves undefined must be
on its list, and no instruction may go round the C library.
"""

import re
import subprocess

# Of base/: what works on its arguments only. Not mono_now, random_bytes_fill, process_*, shm_*,
# ring_*, log_* and secret_init, which are for the shells.
BASE = """
    ip_v4 ip_from_bytes ip_size ip_bits ip_equal ip_cmp ip_is_unspecified ip_is_unicast
    ip_endpoint_equal ip_parse
    ip_prefix_parse ip_format ip_endpoint_format ip_prefix_format ip_prefix_equal ip_prefix_contains
    ip_prefix_overlaps ip_prefix_is_canonical ip_prefix_network ip_prefix_range ip_range_to_prefix
    heap_init heap_fini heap_set heap_remove heap_first heap_deadline
    sb_of sb_str sb_printf sb_vprintf sb_hex sb_escaped
    secret_new secret_from secret_clone secret_free secret_size secret_data secret_data_mut
    mac_of secret_equal secret_error key_mem_alloc key_mem_free bytes_equal_ct bytes_wipe
    sum_add sum_finish trace
    ip_prefix_within translation_to_here translation_to_there translation_equal
    path_store_new path_store_free path_store_count path_store_bytes path_intern path_unref path_as_path
    path_communities path_large_communities path_ext_communities path_cluster_list path_unknown
    path_has_as path_has_community path_as_path_format
""".split()

LIBC = """
    memcpy memmove memset memcmp memchr memrchr memmem bcmp mempcpy explicit_bzero
    strlen strnlen strcmp strncmp strcasecmp strncasecmp strchr strrchr strstr strspn strcspn
    strpbrk strcpy strncpy strcat stpcpy strdup strndup rawmemchr strchrnul
    malloc calloc realloc reallocarray aligned_alloc free qsort qsort_r bsearch abort
    __assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_
""".split()

FORTIFIED = re.compile(r"^__(mem|str|stp)\w+_chk$")
# What compilers add in instrumented builds.
INSTRUMENTED = re.compile(r"^(__asan_|__ubsan_|__sanitizer_|__sanitizer|__gcov_|__llvm_|__cyg_)")


class Rule:
    """What one library may call beyond BASE and LIBC."""

    def __init__(self, cores=(), libraries=(), but_not="", extra=()):
        self.cores = cores  # static libraries of the same area
        self.libraries = libraries  # shared libraries, by file name
        self.but_not = re.compile(but_not) if but_not else None  # not even from those
        self.extra = frozenset(extra)


RULES = {
    "ike": Rule(),
    # The primitives behind ike/crypto.h: made to be replaced, and the place where keys are drawn.
    # Its lock keeps two threads' tests from sharing one context.
    "ike_openssl": Rule(cores=("ike",), libraries=("libcrypto.so", "libhogweed.so", "libgmp.so"),
                        but_not=r"^BIO_",
                        extra=("pthread_mutex_lock", "pthread_mutex_unlock",
                               "crypto_scalarmult_curve25519",
                               "crypto_scalarmult_curve25519_base")),
    # An ESP nonce is a counter, never random: no RAND_ here.
    "esp": Rule(libraries=("libcrypto.so", "libIPSec_MB.so"), but_not=r"^(BIO|RAND)_"),
    # Bytes in memory only; serial numbers come as arguments; keys are drawn inside EVP_*_keygen.
    "pki": Rule(libraries=("libcrypto.so",),
                but_not=r"^(RAND_|BIO_(?!new_mem_buf$|free$)|OSSL_HTTP|OSSL_STORE|OCSP_sendreq|"
                        r"X509_(CRL_)?load_http|X509_LOOKUP|X509_STORE_load|X509_load)|_fp$|_file$"),
    "bfd": Rule(),
    "routing": Rule(),
    "config": Rule(libraries=("libyaml.so",), but_not=r"_file$"),
    "bgp": Rule(),
}

# Why a symbol is refused, in words; the first that matches.
OFFENCES = [
    (r"^(clock_|time$|gettimeofday|ftime|times$|mono_now|localtime|gmtime|mktime|strftime|"
     r"timer_|timerfd|alarm|usleep|nanosleep|sleep$)", "cores take time from events"),
    (r"^(getrandom|getentropy|rand|srand|random|arc4random|drand48|lrand48|randombytes|"
     r"random_bytes_fill|RAND_)", "cores draw randomness through the crypto operations they are given"),
    (r"^(socket|bind$|connect$|listen$|accept|send|recv|shutdown$|getsockopt|setsockopt|getaddrinfo|"
     r"poll|epoll|select$|ppoll|BIO_)", "cores touch no socket: packets are events and actions"),
    (r"^(_IO_|f?printf|v?f?printf|__(v?f?|sn?|vsn?)printf_chk|puts|fputs|putc|fwrite|fread|fopen|"
     r"perror|std(in|out|err)$|snprintf|vsnprintf|sprintf|sscanf|__isoc\d+_|asprintf|"
     r"fflush|fclose|getline)", "cores have no stdio: format with base/sb.h"),
    (r"^(log_|syslog)", "cores do not log: emit to the tracer they are given"),
    (r"^(pthread_|thrd_|mtx_|sem_|call_once)", "cores have no threads"),
    (r"^rte_", "cores do not know DPDK"),
    (r"^(shm_|ring_|mmap|munmap|memfd|ipc_)", "shared memory and processes are the shells' business"),
    (r"^(open|openat|creat|read|write|close|stat|fstat|lstat|unlink|ioctl|fcntl|pread|pwrite)\d*$",
     "cores touch no file"),
    (r"^(fork|vfork|exec|posix_spawn|kill|signal|sigaction|system|popen|wait|exit|_exit|prctl|"
     r"syscall|getpid|setuid|getenv|secret_init|process_harden)",
     "processes and their environment are the shells' business"),
]

# Instructions that ask the kernel, the clock or the random generator past the C library.
INSTRUCTIONS = {
    "syscall": "a system call of its own",
    "sysenter": "a system call of its own",
    "int": "a system call of its own",
    "rdtsc": "reads the clock",
    "rdtscp": "reads the clock",
    "rdrand": "draws randomness",
    "rdseed": "draws randomness",
}
# An operand follows on the same line; "int3" is another mnemonic.
INSTRUCTION = re.compile(r"\t(syscall|sysenter|int|rdtscp?|rdrand|rdseed)\b(?!3)")


def run(*args):
    done = subprocess.run(args, check=True, capture_output=True, text=True)
    return done.stdout


def symbols(archive):
    """(undefined, defined) symbols of a static library, over all its objects."""
    undefined, defined = set(), set()
    for line in run("nm", "-g", archive).splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in "Uw":
            undefined.add(words[1])
        elif len(words) == 3:
            defined.add(words[2])
    return undefined - defined, defined


def exported(library, compiler=("cc",)):
    """The symbols that a shared library defines, without their versions."""
    path = run(*compiler, f"-print-file-name={library}").strip()
    out = run("nm", "-D", "--defined-only", path)
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line.strip()}


def explain(symbol):
    for pattern, why in OFFENCES:
        if re.match(pattern, symbol):
            return why
    return "not on its list in tests/lint/purity.py"


def offences(name, archives, compiler=("cc",), rule=None):
    """Every breach of the rule by the library `name`, each as a sentence."""
    rule = rule or RULES[name]
    undefined, _ = symbols(archives[name])
    allowed = set(BASE) | set(LIBC) | rule.extra
    for core in rule.cores:
        if core in archives:
            allowed |= symbols(archives[core])[1]
    foreign = set()
    for library in rule.libraries:
        foreign |= exported(library, compiler)
    found = []
    for symbol in sorted(undefined):
        if symbol in allowed or FORTIFIED.match(symbol) or INSTRUMENTED.match(symbol):
            continue
        if symbol in foreign and not (rule.but_not and rule.but_not.search(symbol)):
            continue
        found.append(f"{name} calls {symbol}: {explain(symbol)}")
    return found


def bare_instructions(name, archive):
    found = set()
    for line in run("objdump", "-d", "--no-show-raw-insn", archive).splitlines():
        match = INSTRUCTION.search(line)
        if match:
            found.add(f"{name} contains {match.group(1)}: {INSTRUCTIONS[match.group(1)]}")
    return sorted(found)
