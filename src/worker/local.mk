# worker: list .c and .h here
