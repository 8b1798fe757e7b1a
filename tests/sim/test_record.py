#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No member of a saved object is forgotten by accident: each is named in ike/record.c, as a field of
the record or as one that a restart may forget."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1) if len(sys.argv) > 1 else '.')
SAVED = ('ike_sa', 'ike_child', 'ike_request', 'ike_offer')
COMMENT = re.compile(r'/\*.*?\*/', re.S)


def members(header: str, struct: str) -> list[str]:
    """The names that a struct's declarations introduce."""
    body = re.search(r'^struct %s \{\n(.*?)^\};' % struct, header, re.M | re.S)
    assert body, f'struct {struct} is not where it was'
    names = []
    for declaration in COMMENT.sub('', body.group(1)).split(';'):
        declaration = re.sub(r'TAILQ_ENTRY\(\w+\)', 'entry_type', declaration)
        declaration = re.sub(r'\[[^]]*\]', '', declaration).strip()
        if not declaration:
            continue
        first, *rest = declaration.split(',')
        names.append(re.findall(r'\w+', first)[-1])
        names += [re.findall(r'\w+', part)[-1] for part in rest]
    return names


class Record(unittest.TestCase):
    def setUp(self):
        self.header = ''.join((ROOT / f'ike/{name}.h').read_text() for name in ('sa', 'child', 'window'))
        self.record = (ROOT / 'ike/record.c').read_text()

    def missing(self, header):
        named = set(re.findall(r'\w+', self.record))
        return [f'{struct}.{name}' for struct in SAVED for name in members(header, struct)
                if name not in named]

    def test_every_member_is_named(self):
        self.assertEqual(self.missing(self.header), [],
                         'say in ike/record.c what a restart does with it')

    def test_a_new_member_is_noticed(self):
        planted = self.header.replace('struct ike_sa {\n', 'struct ike_sa {\n\tbool a_new_one[2], *b_new_one;\n')
        self.assertEqual(self.missing(planted), ['ike_sa.a_new_one', 'ike_sa.b_new_one'])


if __name__ == '__main__':
    unittest.main()
