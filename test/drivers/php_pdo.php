<?php
// PDO: real prepared statements, reused; COPY, notifications and cancelling by timeout.
const CLIENTS = 5;
const BIG = 10 * 1024 * 1024;

function open(array $more = []): PDO
{
	$target = array_merge(['host' => '127.0.0.1', 'port' => getenv('PGPORT'), 'dbname' => getenv('PGDATABASE'),
		'sslmode' => 'disable', 'user' => getenv('PGUSER'), 'password' => getenv('PGPASSWORD')], $more);
	$dsn = implode(';', array_map(fn($k, $v) => "$k=$v", array_keys($target), $target));
	return new PDO("pgsql:$dsn", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function open_all(int $n): array
{
	return array_map(fn() => open(), range(1, $n));
}

function value(PDO $c, string $sql, array $params = [])
{
	$s = $c->prepare($sql);
	$s->execute($params);
	return $s->fetchColumn();
}

function code(callable $work)
{
	try {
		return $work();
	} catch (PDOException $e) {
		return $e->errorInfo[0];
	}
}

function behaviour(string $name, callable $work): void
{
	try {
		echo "$name: ", implode(' ', array_map('json_encode', (array)$work())), "\n";
	} catch (Throwable $e) {
		fwrite(STDERR, "$e\n");
		echo "$name: failed: ", strtok($e->getMessage(), "\n"), "\n";
	}
}

behaviour('prepared', function () {
	$all = open_all(CLIENTS);
	$sum = 0;
	$own = $same = [];
	foreach ($all as $k => $c) {
		$own[] = $c->prepare("SELECT ?::int * $k");
		$same[] = $c->prepare('SELECT ?::int + 1');
	}
	for ($i = 0; $i < 8; $i++)
		foreach ($all as $k => $c) {
			if ($i % 3 == 0)
				$c->beginTransaction();
			foreach ([$own[$k], $same[$k]] as $s) {
				$s->execute([$i]);
				$sum += $s->fetchColumn();
			}
			if ($i % 3 == 0)
				$c->commit();
		}
	return $sum;
});
behaviour('settings', function () {
	$all = open_all(CLIENTS);
	foreach ($all as $i => $c)
		$c->exec("SET TimeZone = 'Etc/GMT+$i'; SET search_path = d$i");
	$seen = [];
	foreach (array_merge($all, $all) as $c) {
		$c->beginTransaction();
		$c->exec("SET LOCAL work_mem = '7MB'");
		$c->exec('SET statement_timeout = 5000');
		$c->rollBack();
		foreach (['TimeZone', 'statement_timeout', 'search_path', 'work_mem'] as $name)
			$seen[] = value($c, "SHOW $name");
	}
	return $seen;
});
behaviour('custom_setting', function () {
	[$one, $two] = open_all(2);
	$ask = "SELECT current_setting('app.user_id', true)";
	$one->exec("SET app.user_id = '7'");
	$seen = [value($one, $ask), value($two, $ask)];
	value($one, "SELECT set_config('app.user_id', ?, false)", ['8']);
	return [...$seen, value($one, $ask), value($two, $ask)];
});
behaviour('errors', function () {
	$c = open();
	$seen = array_map(fn($sql) => code(fn() => value($c, $sql)),
		['SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1']);
	$c->beginTransaction();
	foreach (['SELECT 1', "SELECT 'x'::int", 'SELECT 1'] as $sql)
		$seen[] = code(fn() => value($c, $sql));
	$c->rollBack();
	return [...$seen, value($c, 'SELECT 5')];
});
behaviour('copy', function () {
	[$one, $two] = open_all(2);
	$one->exec('DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)');
	$one->pgsqlCopyFromArray('d_copy', array_map(fn($i) => "$i\trow $i\n", range(0, 9999)));
	$seen = [value($two, "SELECT count(*) || ' ' || sum(a) FROM d_copy"),
		strlen(implode('', $two->pgsqlCopyToArray('d_copy'))),
		code(fn() => $one->pgsqlCopyFromArray('d_copy', ["x\ty\n"])), value($one, 'SELECT count(*) FROM d_copy')];
	$one->exec('DROP TABLE d_copy');
	return $seen;
});
behaviour('listen', function () {
	[$one, $two] = open_all(2);
	$one->exec('LISTEN d_news');
	$two->exec("NOTIFY d_news, 'hello'");
	value($two, 'SELECT pg_notify(?, ?)', ['d_news', 'again']);
	$heard = [];
	while (count($heard) < 2 && ($note = $one->pgsqlGetNotify(PDO::FETCH_ASSOC, 5000)))
		$heard[] = "$note[message] $note[payload]";
	return $heard;
});
behaviour('temp_table', function () {
	[$one, $two, $three] = open_all(3);
	$one->exec('CREATE TEMP TABLE d_temp (a int)');
	$two->exec('CREATE TEMP TABLE d_temp (a text)');
	$one->exec('INSERT INTO d_temp VALUES (1), (2)');
	$two->exec("INSERT INTO d_temp VALUES ('x')");
	$seen = [value($one, 'SELECT sum(a) FROM d_temp'), value($two, 'SELECT max(a) FROM d_temp'),
		code(fn() => value($three, 'SELECT a FROM d_temp'))];
	$one->exec('DROP TABLE d_temp');
	return [...$seen, code(fn() => value($one, 'SELECT a FROM d_temp'))];
});
behaviour('advisory_lock', function () {
	[$one, $two] = open_all(2);
	return [value($one, 'SELECT pg_try_advisory_lock(?)', [90]), value($two, 'SELECT pg_try_advisory_lock(?)', [90]),
		value($one, 'SELECT pg_advisory_unlock(?)', [90]), value($two, 'SELECT pg_try_advisory_lock(?)', [90]),
		value($two, 'SELECT pg_advisory_unlock(?)', [90])];
});
behaviour('cursor', function () {
	$all = open_all(2); // PDO declares them WITH HOLD: they pin
	$sums = [0, 0];
	$statements = [];
	foreach ($all as $k => $c) {
		$c->beginTransaction();
		$s = $c->prepare('SELECT generate_series(1, 1000) * ' . ($k + 1), [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
		$s->execute();
		$statements[] = $s;
	}
	for ($i = 0; $i < 200; $i++)
		foreach ($statements as $k => $s)
			$sums[$k] += $s->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_NEXT)[0];
	foreach ($statements as $k => $s)
		$sums[] = $s->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST)[0];
	foreach ($all as $c)
		$c->commit();
	return $sums;
});
behaviour('big_value', function () {
	$c = open();
	$big = str_repeat('0123456789abcdef', BIG / 16);
	return [value($c, 'SELECT md5(?)', [$big]) === md5($big), value($c, 'SELECT ?::text', [$big]) === $big];
});
function login_error(array $more): string
{
	try {
		open($more);
		return 'no error';
	} catch (PDOException $e) {
		return preg_match('/FATAL.*/', $e->getMessage(), $found) ? $found[0] : $e->getMessage();
	}
}
behaviour('wrong_password', fn() => login_error(['password' => 'wrong']));
behaviour('unknown_database', fn() => login_error(['dbname' => 'no_such_database']));
behaviour('tls', function () {
	$one = open(['sslmode' => 'verify-full', 'sslrootcert' => getenv('DRIVER_CA')]);
	return [value($one, 'SELECT 1'), value(open(), 'SELECT 2')];
});
behaviour('emulated_prepares', function () {
	$c = open();
	$c->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
	return [value($c, 'SELECT ?::text', ["it's"]), value($c, 'SELECT ?::int', [5])];
});
behaviour('last_insert_id', function () {
	$all = open_all(3);
	$all[0]->exec('DROP TABLE IF EXISTS d_serial; CREATE TABLE d_serial (id serial PRIMARY KEY, a int)');
	$seen = [];
	foreach ($all as $c) {
		$c->beginTransaction();
		$c->exec('INSERT INTO d_serial (a) VALUES (1)');
		$seen[] = $c->lastInsertId();
		$seen[] = $c->lastInsertId('d_serial_id_seq');
		$c->commit();
	}
	$all[0]->exec('DROP TABLE d_serial');
	return $seen;
});
behaviour('large_object', function () {
	$c = open();
	$c->beginTransaction();
	$oid = $c->pgsqlLOBCreate();
	$stream = $c->pgsqlLOBOpen($oid, 'w');
	fwrite($stream, 'hello');
	fclose($stream);
	$c->commit();
	$other = open();
	$other->beginTransaction();
	$seen = stream_get_contents($other->pgsqlLOBOpen($oid, 'r'));
	$other->pgsqlLOBUnlink($oid);
	$other->commit();
	return $seen;
});
