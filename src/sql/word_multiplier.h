/* Made by word_gen.py from word_list.h: do not edit. */
#define WORD_MULTIPLIER 0x5b1916cd450f0865u
