"""A script for psql, taken apart into statements as psql takes it apart.

What is done: quotes of all kinds, comments, parentheses, BEGIN ATOMIC, variables, \\set, \\getenv,
\\g and its kin, \\; and \\if. Other backslash commands are skipped, as are their arguments.
"""
import re

BLANKS = " \t\n\r\f\v"
WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
DOLLAR = re.compile(r"\$([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
VARIABLE = re.compile(r":(?:'(\w+)'|\"(\w+)\"|\{\?(\w+)\}|(\w+))")
SENDS = {"g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch"}


class Script:
    """An iterator of (statement, command, argument): the command that ended it, ";" mostly."""

    def __init__(self, text, environment):
        self.text = text
        self.at = 0
        self.environment = environment
        self.variables = {}
        self.std_strings = True
        self.branches = []  # of \if: [taken now, one was taken]

    def __iter__(self):
        return self

    # --- pieces of a statement

    def _quoted(self, quote, escapes):
        end = self.at + 1
        while end < len(self.text):
            if escapes and self.text[end] == "\\":
                end += 1
            elif self.text[end] == quote:
                break
            end += 1
        return self._take(end + 1)

    def _comment(self):
        depth, end = 1, self.at + 2
        while depth and end < len(self.text):
            two = self.text[end:end + 2]
            depth += (two == "/*") - (two == "*/")
            end += 2 if two in ("/*", "*/") else 1
        return self._take(end)

    def _take(self, end):
        piece, self.at = self.text[self.at:end], end
        return piece

    def _line(self):
        end = self.text.find("\n", self.at)
        return self._take(len(self.text) if end < 0 else end)

    def _variable(self, m):
        value = self.variables.get(m[1] or m[2] or m[4])
        if m[3]:
            return "TRUE" if m[3] in self.variables else "FALSE"
        if value is None:
            return None
        if m[1]:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if m[2] else value

    def _literal(self):
        """A quoted piece or a comment at the position, or None."""
        c, two = self.text[self.at], self.text[self.at:self.at + 2]
        if two == "--":
            return self._line()
        if two == "/*":
            return self._comment()
        if c == "'":
            before = self.text[max(0, self.at - 2):self.at]
            escaped = before[-1:] in ("e", "E") and not WORD.match(before[:1] or " ")
            return self._quoted("'", escaped or not self.std_strings)
        if c == '"':
            return self._quoted('"', False)
        m = DOLLAR.match(self.text, self.at)
        if m:
            end = self.text.find(m[0], m.end())
            return self._take(len(self.text) if end < 0 else end + len(m[0]))
        return None

    # --- commands

    def _arguments(self):
        line = self._line()
        line = re.split(r"\\\\|\\(?=g|;)", line)[0]
        words = re.findall(r"(?:'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|:'\w+'|\S)+", line)
        out = []
        for word in words:
            parts = re.split(r"('(?:[^'\\]|\\.|'')*')", word)
            out.append("".join(
                p[1:-1].replace("''", "'") if p[:1] == "'" else
                VARIABLE.sub(lambda m: self._variable(m) or m[0], p) for p in parts))
        return out

    def _command(self, name):
        args = self._arguments()
        if name == "if":
            on = self._is_on() and args[:1] and args[0].lower() in ("1", "on", "t", "true", "yes")
            self.branches.append([bool(on), bool(on) or not self._is_on()])
        elif name == "elif" and self.branches:
            on = not self.branches[-1][1] and args[0].lower() in ("1", "on", "t", "true", "yes")
            self.branches[-1] = [on, self.branches[-1][1] or on]
        elif name == "else" and self.branches:
            self.branches[-1] = [not self.branches[-1][1], True]
        elif name == "endif" and self.branches:
            self.branches.pop()
        elif not self._is_on():
            return
        elif name == "set" and args:
            self.variables[args[0]] = "".join(args[1:])
        elif name == "unset" and args:
            self.variables.pop(args[0], None)
        elif name == "getenv" and len(args) == 2 and args[1] in self.environment:
            self.variables[args[0]] = self.environment[args[1]]
        elif name in ("q", "quit"):
            self.at = len(self.text)

    def _is_on(self):
        return all(b[0] for b in self.branches)

    # --- statements

    def __next__(self):
        while self.at < len(self.text):
            statement, command, argument = self._next_piece()
            if self._is_on() and (statement.strip() or command == "connect"):
                return statement, command, argument
        raise StopIteration

    def _next_piece(self):
        out, parens, begins, words = [], 0, 0, []
        while self.at < len(self.text):
            c = self.text[self.at]
            piece = self._literal()
            if piece is not None:
                out.append(piece)
                continue
            m = WORD.match(self.text, self.at)
            if m and parens == 0:
                word = m[0].lower()
                words = (words + [word])[:4]
                if words[0] == "create" and {"function", "procedure"} & set(words[1:]):
                    begins += (word == "begin") + (word == "case" and begins > 0)
                    begins -= word == "end" and begins > 0
            if m:
                out.append(self._take(m.end()))
                continue
            if c == ":" and self.text[self.at:self.at + 2] == "::":
                out.append(self._take(self.at + 2))
                continue
            m = VARIABLE.match(self.text, self.at) if c == ":" else None
            value = self._variable(m) if m else None
            if value is not None:
                self.at = m.end()
                out.append(value)
                continue
            if c == "\\":
                m = re.compile(r"\\(;|[a-zA-Z]+|\S)?").match(self.text, self.at)
                self.at = m.end()
                if m[1] == ";":
                    out.append(";")
                elif m[1] in SENDS:
                    return "".join(out), m[1], self._arguments()
                elif m[1] in ("c", "connect") and self._is_on():
                    return "", "connect", self._arguments()
                else:
                    self._command(m[1])
                continue
            parens = max(0, parens + (c == "(") - (c == ")"))
            self.at += 1
            if c == ";" and parens == 0 and begins == 0:
                return "".join(out) + ";", ";", []
            out.append(c)
        return "".join(out), ";", []

    def take_copy_data(self):
        """The lines behind a COPY … FROM STDIN, up to their \\."""
        start = self.text.find("\n", self.at) + 1
        end = re.compile(r"^\\\.\n", re.MULTILINE).search(self.text, start)
        data = self.text[start:end.start() if end else start]
        self.at = end.end() if end else start
        return data
