# DBD::Pg: server-side prepared statements, COPY, asynchronous queries.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async :pg_types);
use Time::HiRes qw(sleep);
use Digest::MD5 qw(md5_hex);

$| = 1;
use constant {CLIENTS => 5, BIG => 10 * 1024 * 1024};

sub open_conn {
	my ($more, %options) = @_;
	return DBI->connect('dbi:Pg:' . ($more // ''), $ENV{PGUSER}, $options{password} // $ENV{PGPASSWORD},
		{AutoCommit => 1, RaiseError => 1, PrintError => 0});
}

sub open_all { return map { open_conn('', @_[1 .. $#_]) } 1 .. $_[0]; }
sub value { my ($c, $sql, @params) = @_; return ($c->selectrow_array($sql, undef, @params))[0]; }

sub code {
	my ($c, $sql, @params) = @_;
	my $got = eval { value($c, $sql, @params) };
	return $@ ? $c->state : $got;
}

sub tell_behaviour {
	my ($name, $work) = @_;
	my @seen = eval { $work->() };
	if ($@) { my $why = (split /\n/, $@)[0]; print "$name: failed: $why\n"; return; }
	print "$name: ", join(' ', map { $_ // 'undef' } @seen), "\n";
}

tell_behaviour prepared => sub {
	my @all = open_all(CLIENTS);
	my $sum = 0;
	my @own = map { $all[$_]->prepare("SELECT ?::int * $_") } 0 .. $#all;
	my @same = map { $_->prepare('SELECT ?::int + 1') } @all;
	for my $i (0 .. 7) {
		for my $k (0 .. $#all) {
			$all[$k]->begin_work if $i % 3 == 0;
			for my $s ($own[$k], $same[$k]) { $s->execute($i); $sum += ($s->fetchrow_array)[0]; $s->finish; }
			$all[$k]->commit if $i % 3 == 0;
		}
	}
	return $sum;
};

tell_behaviour settings => sub {
	my @all = open_all(CLIENTS);
	my @seen;
	$all[$_]->do("SET TimeZone = 'Etc/GMT+$_'; SET search_path = d$_") for 0 .. $#all;
	for my $c (@all, @all) {
		$c->begin_work;
		$c->do("SET LOCAL work_mem = '7MB'");
		$c->do('SET statement_timeout = 5000');
		$c->rollback;
		push @seen, map { value($c, "SHOW $_") } qw(TimeZone statement_timeout search_path work_mem);
	}
	return @seen;
};

tell_behaviour custom_setting => sub {
	my ($one, $two) = open_all(2);
	my $ask = "SELECT current_setting('app.user_id', true)";
	$one->do("SET app.user_id = '7'");
	my @seen = (value($one, $ask), value($two, $ask));
	value($one, "SELECT set_config('app.user_id', ?, false)", '8');
	return (@seen, value($one, $ask), value($two, $ask));
};

tell_behaviour errors => sub {
	my ($c) = open_all(1);
	my @seen = map { code($c, $_) } ('SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1');
	$c->begin_work;
	push @seen, map { code($c, $_) } ('SELECT 1', "SELECT 'x'::int", 'SELECT 1');
	$c->rollback;
	push @seen, code($c, 'SELECT ?::int', 'x');
	return (@seen, value($c, 'SELECT 5'));
};

tell_behaviour cancel => sub {
	my ($one, $two) = open_all(2);
	my $query = $one->prepare('SELECT pg_sleep(30)', {pg_async => PG_ASYNC});
	$query->execute;
	sleep 0.3;
	my @seen = ($one->pg_cancel);
	return (@seen, value($one, 'SELECT 1'), value($two, 'SELECT 2'));
};

tell_behaviour copy => sub {
	my ($one, $two) = open_all(2);
	$one->do('DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)');
	$one->do('COPY d_copy FROM STDIN');
	$one->pg_putcopydata("$_\trow $_\n") for 0 .. 9999;
	$one->pg_putcopyend;
	my @seen = (value($two, "SELECT count(*) || ' ' || sum(a) FROM d_copy"));
	my ($length, $row) = (0);
	$two->do('COPY d_copy TO STDOUT');
	$length += length $row while $two->pg_getcopydata($row) >= 0;
	$one->do('COPY d_copy FROM STDIN');
	$one->pg_putcopydata("x\ty\n");
	eval { $one->pg_putcopyend };
	push @seen, $length, $one->state, value($one, 'SELECT count(*) FROM d_copy');
	$one->do('DROP TABLE d_copy');
	return @seen;
};

tell_behaviour listen => sub {
	my ($one, $two) = open_all(2);
	my @heard;
	$one->do('LISTEN d_news');
	$two->do("NOTIFY d_news, 'hello'");
	value($two, 'SELECT pg_notify(?, ?)', 'd_news', 'again');
	for (1 .. 100) {
		while (my $note = $one->pg_notifies) { push @heard, "$note->[0] $note->[2]"; }
		last if @heard >= 2;
		sleep 0.05;
	}
	return @heard;
};

tell_behaviour temp_table => sub {
	my ($one, $two, $three) = open_all(3);
	$one->do('CREATE TEMP TABLE d_temp (a int)');
	$two->do('CREATE TEMP TABLE d_temp (a text)');
	$one->do('INSERT INTO d_temp VALUES (?), (?)', undef, 1, 2);
	$two->do('INSERT INTO d_temp VALUES (?)', undef, 'x');
	my @seen = (value($one, 'SELECT sum(a) FROM d_temp'), value($two, 'SELECT max(a) FROM d_temp'),
		code($three, 'SELECT a FROM d_temp'));
	$one->do('DROP TABLE d_temp');
	return (@seen, code($one, 'SELECT a FROM d_temp'));
};

tell_behaviour advisory_lock => sub {
	my ($one, $two) = open_all(2);
	return (value($one, 'SELECT pg_try_advisory_lock(?)', 85), value($two, 'SELECT pg_try_advisory_lock(?)', 85),
		value($one, 'SELECT pg_advisory_unlock(?)', 85), value($two, 'SELECT pg_try_advisory_lock(?)', 85),
		value($two, 'SELECT pg_advisory_unlock(?)', 85));
};

tell_behaviour cursor => sub {
	my @all = open_all(3);
	my @sums = (0, 0, 0);
	for my $k (0 .. 2) {
		$all[$k]->begin_work;
		$all[$k]->do('DECLARE c CURSOR FOR SELECT generate_series(1, 1000) * ' . ($k + 1));
	}
	for (1 .. 10) {
		for my $k (0 .. 2) { $sums[$k] += $_->[0] for @{$all[$k]->selectall_arrayref('FETCH 100 FROM c')}; }
	}
	$_->commit for @all;
	return @sums;
};

tell_behaviour big_value => sub {
	my ($c) = open_all(1);
	my $big = '0123456789abcdef' x (BIG / 16);
	my $s = $c->prepare('SELECT ?::bytea');
	$s->bind_param(1, $big, {pg_type => PG_BYTEA});
	$s->execute;
	return (value($c, 'SELECT md5(?)', $big), value($c, 'SELECT ?::text', $big) eq $big, ($s->fetchrow_array)[0] eq $big);
};

sub login_error {
	my @target = @_;
	eval { open_conn(@target) };
	my $why = $@ || 'no error';
	return $why =~ /(FATAL.*?)$/m ? $1 =~ s/ at \S+ line.*//r : $why;
}

tell_behaviour wrong_password => sub { return login_error('', password => 'wrong'); };
tell_behaviour unknown_database => sub { return login_error('dbname=no_such_database'); };
tell_behaviour tls => sub {
	my $one = open_conn("sslmode=verify-full;sslrootcert=$ENV{DRIVER_CA}");
	my $two = open_conn('sslmode=disable');
	return (value($one, 'SELECT 1'), value($two, 'SELECT 2'));
};
tell_behaviour savepoints => sub {
	my @seen;
	my @all = open_all(3);
	for my $c (@all) { $c->begin_work; $c->pg_savepoint('s'); push @seen, code($c, 'SELECT 1/0'); }
	for my $c (@all) { $c->pg_rollback_to('s'); push @seen, value($c, 'SELECT 3'); $c->commit; }
	return @seen;
};
tell_behaviour last_insert_id => sub {
	my @all = open_all(3);
	$all[0]->do('DROP TABLE IF EXISTS d_serial; CREATE TABLE d_serial (id serial PRIMARY KEY, a int)');
	my @seen;
	for my $c (@all) {
		$c->begin_work;
		$c->do('INSERT INTO d_serial (a) VALUES (1)');
		push @seen, $c->last_insert_id(undef, undef, 'd_serial', undef);
		$c->commit;
	}
	$all[0]->do('DROP TABLE d_serial');
	return @seen;
};
tell_behaviour deallocate => sub {
	my @all = open_all(3);
	my @warnings;
	local $SIG{__WARN__} = sub { push @warnings, $_[0] };
	for my $c (@all) { # $s is prepared at its second use, and deallocated when it is gone
		my $s = $c->prepare('SELECT ?::int + 3');
		for (1 .. 3) { $s->execute(1); $s->finish; }
	}
	return scalar @warnings;
};
