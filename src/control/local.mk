# control: list .c and .h here
