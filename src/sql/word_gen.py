#!/usr/bin/env python3
"""Write word_table.h and word_multiplier.h, the perfect hash over the words of word_list.h.

Run it by hand in this folder after word_list.h was changed; the results are committed.
check_word verifies that every word is found.
"""
import random
import re

MASK = (1 << 64) - 1
SEED = 0xCBF29CE484222325
PRIME = 0x9E3779B97F4A7C15
SLOT_BITS = 13
TRIES = 1_000_000


def word_hash(word):
    """As word_hash of word.h."""
    h = SEED
    for c in word.encode():
        h = ((h ^ c) * PRIME) & MASK
    return h


def find_multiplier(hashes):
    """The first odd random number that gives every word a slot of its own."""
    source = random.Random(1)
    for _ in range(TRIES):
        m = source.getrandbits(64) | 1
        slots = [(h * m & MASK) >> (64 - SLOT_BITS) for h in hashes]
        if len(set(slots)) == len(slots):
            return m, slots
    raise SystemExit("no multiplier found: raise SLOT_BITS, here and in word.h")


def main():
    words = re.findall(r'^W\(\w+, "([^"]+)", \w\)', open("word_list.h").read(), re.M)
    assert len(words) == len(set(words))
    hashes = [word_hash(w) for w in words]
    multiplier, slots = find_multiplier(hashes)
    with open("word_multiplier.h", "w") as out:
        out.write("/* Made by word_gen.py from word_list.h: do not edit. */\n")
        out.write(f"#define WORD_MULTIPLIER 0x{multiplier:016x}u\n")
    with open("word_table.h", "w") as out:
        out.write("/* Made by word_gen.py from word_list.h: do not edit. */\n")
        out.write("/* clang-format off */\n")
        out.write(f'_Static_assert(WORD_COUNT == {len(words) + 1}, "run word_gen.py");\n')
        out.write(f"const uint16_t word_slots[{1 << SLOT_BITS}] = {{\n")
        for i, slot in enumerate(slots, 1):
            out.write(f"\t[{slot}] = {i},\n")
        out.write("};\nconst uint64_t word_hashes[WORD_COUNT] = {\n\t0,\n")
        for word, h in zip(words, hashes):
            out.write(f"\t0x{h:016x}u, /* {word} */\n")
        out.write("};\n/* clang-format on */\n")


main()
