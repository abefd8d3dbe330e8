# fish looks for a program's completion under its name; the two share one.
source (status dirname)/pgweir.fish
