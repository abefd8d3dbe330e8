// node-postgres (pg).
const { Client, Pool } = require('pg');
const { behaviours, copy, hear, sleep, code, firstLine, BIG, CLIENTS, target, tlsTarget } = require('./node_behave.js');

async function connections(count, work, more = {}) {
	const all = Array.from({ length: count }, () => new Client({ ...target, ...more }));
	for (const client of all) {
		client.on('error', () => {});
		await client.connect();
	}
	try {
		return await work(...all);
	} finally {
		await Promise.all(all.map((client) => client.end()));
	}
}

const value = async (client, text, values) => Object.values((await client.query(text, values)).rows[0])[0];

async function loginError(more) {
	const client = new Client({ ...target, ...more });
	try {
		await client.connect();
		await client.end();
		return 'no error';
	} catch (error) {
		return `${error.code} ${firstLine(error.message)}`;
	}
}

behaviours({
	prepared: () => connections(CLIENTS, async (...all) => {
		let sum = 0;
		for (let i = 0; i < 8; i++) {
			const rows = await Promise.all(all.flatMap((client, k) => [
				client.query({ name: 'same', text: 'SELECT $1::int + 1 AS v', values: [i] }),
				client.query({ name: 'own', text: `SELECT $1::int * ${k} AS v`, values: [i] }),
			]));
			sum += rows.reduce((s, r) => s + r.rows[0].v, 0);
		}
		return sum;
	}),
	settings: () => connections(CLIENTS, async (...all) => {
		const seen = [];
		await Promise.all(all.map((client, i) => client.query(
			`SET TimeZone = 'Etc/GMT+${i}'; SET statement_timeout = ${60000 + i}; SET search_path = pg_catalog, d${i}`)));
		for (const client of [...all, ...all]) {
			await client.query('BEGIN');
			await client.query("SET LOCAL work_mem = '7MB'");
			await client.query('SET statement_timeout = 5000');
			await client.query('ROLLBACK');
			for (const name of ['TimeZone', 'statement_timeout', 'search_path', 'work_mem', 'lock_timeout', 'application_name'])
				seen.push(await value(client, `SHOW ${name}`));
		}
		await all[0].query('RESET ALL');
		return [...seen, await value(all[0], 'SHOW lock_timeout')];
	}, { lock_timeout: 4321, application_name: 'node' }),
	custom_setting: () => connections(2, async (one, two) => {
		const ask = "SELECT current_setting('app.user_id', true) AS v";
		await one.query("SET app.user_id = '7'");
		const seen = [await value(one, ask), await value(two, ask)];
		await one.query("SELECT set_config('app.user_id', $1, false)", ['8']);
		return [...seen, await value(one, ask), await value(two, ask)];
	}),
	errors: () => connections(1, async (client) => {
		const seen = [];
		for (const sql of ['SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1', 'BEGIN;SELECT 1',
			"SELECT 'x'::int", 'SELECT 1', 'ROLLBACK', 'SELECT 5'])
			seen.push(await code(client.query(sql)));
		seen.push(await code(client.query('SELECT $1::int', ['x'])), await value(client, 'SELECT $1::int', [6]));
		return seen;
	}),
	cancel: () => connections(3, async (one, two, three) => {
		// node-postgres cancels a query with a client of its own
		const query = one.query('SELECT pg_sleep(30)');
		await sleep(300);
		const canceller = new Client(target);
		canceller.cancel(one, one._getActiveQuery ? one._getActiveQuery() : one.activeQuery);
		return [await code(query), await value(one, 'SELECT 1'), await value(two, 'SELECT 2'), await value(three, 'SELECT 3')];
	}),
	copy: () => connections(2, (one, two) => copy(one, two, value)),
	listen: () => connections(2, (one, two) => hear(one, async () => {
		await one.query('LISTEN d_news');
		await two.query("NOTIFY d_news, 'hello'");
		await two.query('SELECT pg_notify($1, $2)', ['d_news', 'again']);
	})),
	temp_table: () => connections(3, async (one, two, three) => {
		await one.query('CREATE TEMP TABLE d_temp (a int)');
		await two.query('CREATE TEMP TABLE d_temp (a text)');
		await one.query('INSERT INTO d_temp VALUES ($1), ($2)', [1, 2]);
		await two.query('INSERT INTO d_temp VALUES ($1)', ['x']);
		const seen = [await value(one, 'SELECT sum(a) FROM d_temp'), await value(two, 'SELECT max(a) FROM d_temp'),
			await code(three.query('SELECT a FROM d_temp'))];
		await one.query('DROP TABLE d_temp');
		return [...seen, await code(one.query('SELECT a FROM d_temp'))];
	}),
	advisory_lock: () => connections(2, async (one, two) => [
		await value(one, 'SELECT pg_try_advisory_lock($1)', [81]), await value(two, 'SELECT pg_try_advisory_lock($1)', [81]),
		await value(one, 'SELECT pg_advisory_unlock($1)', [81]), await value(two, 'SELECT pg_try_advisory_lock($1)', [81]),
		await value(two, 'SELECT pg_advisory_unlock($1)', [81])]),
	cursor: () => connections(3, async (...all) => {
		const sums = [0, 0, 0];
		for (const [k, client] of all.entries()) {
			await client.query('BEGIN');
			await client.query(`DECLARE c CURSOR FOR SELECT generate_series(1, 1000) * ${k + 1} AS v`);
		}
		for (let i = 0; i < 10; i++)
			for (const [k, client] of all.entries())
				sums[k] += (await client.query('FETCH 100 FROM c')).rows.reduce((s, r) => s + r.v, 0);
		for (const client of all)
			await client.query('COMMIT');
		return sums;
	}),
	big_value: () => connections(1, async (client) => {
		const big = '0123456789abcdef'.repeat(BIG / 16);
		return [await value(client, 'SELECT md5($1)', [big]), await value(client, 'SELECT $1::text', [big]) === big];
	}),
	wrong_password: () => loginError({ password: 'wrong' }),
	unknown_database: () => loginError({ database: 'no_such_database' }),
	tls: () => connections(2, async (one, two) => [await value(one, 'SELECT 1'), await value(two, 'SELECT 2')], tlsTarget),
	pool: async () => {
		const pool = new Pool({ ...target, max: CLIENTS });
		const rows = await Promise.all(Array.from({ length: 60 }, (_, i) => pool.query('SELECT $1::int AS v', [i])));
		await pool.end();
		return rows.reduce((s, r) => s + r.rows[0].v, 0);
	},
});
