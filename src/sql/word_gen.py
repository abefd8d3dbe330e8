#!/usr/bin/env python3
"""Write word_table.h, the perfect hash over the words of word_list.h.

Run it by hand in this folder after word_list.h was changed; the result is committed.
check_word verifies that every word is found. The hash is word_hash of word.h.
"""
import re

MASK = (1 << 64) - 1
SEED = 0xCBF29CE484222325
PRIME = 0x9E3779B97F4A7C15
N_BUCKETS = 128
N_SLOTS = 512


def word_hash(word):
    h = SEED
    for c in word.encode():
        h = ((h ^ c) * PRIME) & MASK
    return h


def place(words):
    """Give each bucket the first displacement at which none of its words meets another."""
    buckets = [[] for _ in range(N_BUCKETS)]
    for i, word in enumerate(words, 1):
        h = word_hash(word)
        buckets[h >> 57].append((i, (h >> 40) % N_SLOTS))
    slots, moves = [0] * N_SLOTS, [0] * N_BUCKETS
    for b in sorted(range(N_BUCKETS), key=lambda b: -len(buckets[b])):
        for move in range(N_SLOTS):
            at = [(place + move) % N_SLOTS for _, place in buckets[b]]
            if len(set(at)) == len(at) and all(slots[a] == 0 for a in at):
                break
        else:
            raise SystemExit("no displacement fits: raise N_SLOTS")
        moves[b] = move
        for (i, _), a in zip(buckets[b], at):
            slots[a] = i
    return slots, moves


def array(out, ctype, name, values, width):
    out.write(f"static const {ctype} {name}[{len(values)}] = {{\n")
    for i in range(0, len(values), width):
        out.write("\t" + ", ".join(str(v) for v in values[i:i + width]) + ",\n")
    out.write("};\n")


def main():
    words = re.findall(r'^W\(\w+, "([^"]+)", \w\)', open("word_list.h").read(), re.M)
    assert len(words) == len(set(words))
    slots, moves = place(words)
    with open("word_table.h", "w") as out:
        out.write("/* Made by word_gen.py from word_list.h: do not edit. */\n")
        out.write("/* clang-format off */\n")
        array(out, "uint16_t", "word_moves", moves, 16)
        array(out, "uint16_t", "word_slots", slots, 16)
        out.write(f"static const uint64_t word_hashes[{len(words) + 1}] = {{\n\t0,\n")
        for word in words:
            out.write(f"\t0x{word_hash(word):016x}u, /* {word} */\n")
        out.write("};\n/* clang-format on */\n")


main()
