// postgres (postgres.js): prepares everything, pipelines by itself.
const postgres = require('postgres');
const { behaviours, sleep, code, firstLine, BIG, CLIENTS, target, tlsTarget } = require('./node_behave.js');

const quiet = { onnotice: () => {}, connection: { application_name: 'postgres.js' } };

async function connections(count, work, more = {}) {
	const all = Array.from({ length: count }, () => postgres({ ...target, ...quiet, max: 1, ...more }));
	try {
		return await work(...all);
	} finally {
		await Promise.all(all.map((sql) => sql.end()));
	}
}

const value = async (query) => Object.values((await query)[0])[0];

async function loginError(more) {
	const sql = postgres({ ...target, ...quiet, max: 1, ...more });
	try {
		await sql`SELECT 1`;
		return 'no error';
	} catch (error) {
		return `${error.code} ${firstLine(error.message)}`;
	} finally {
		await sql.end();
	}
}

behaviours({
	prepared: () => connections(CLIENTS, async (...all) => {
		let sum = 0;
		for (let i = 0; i < 8; i++) {
			const rows = await Promise.all(all.flatMap((sql, k) => [
				sql`SELECT ${i}::int + 1 AS v`, sql.unsafe(`SELECT $1::int * ${k} AS v`, [i], { prepare: true })]));
			sum += rows.reduce((s, r) => s + r[0].v, 0);
		}
		return sum;
	}),
	settings: () => connections(CLIENTS, async (...all) => {
		const seen = [];
		await Promise.all(all.map((sql, i) => sql.unsafe(
			`SET TimeZone = 'Etc/GMT+${i}'; SET statement_timeout = ${60000 + i}; SET search_path = pg_catalog, d${i}`)));
		for (const sql of [...all, ...all]) {
			await sql.begin(async (block) => {
				await block`SET LOCAL work_mem = '7MB'`;
				await block`SET statement_timeout = 5000`;
				throw new Error('roll back');
			}).catch(() => {});
			for (const name of ['TimeZone', 'statement_timeout', 'search_path', 'work_mem', 'application_name'])
				seen.push(await value(sql.unsafe(`SHOW ${name}`)));
		}
		return seen;
	}),
	custom_setting: () => connections(2, async (one, two) => {
		const ask = (sql) => value(sql`SELECT current_setting('app.user_id', true) AS v`);
		await one`SET app.user_id = '7'`;
		const seen = [await ask(one), await ask(two)];
		await one`SELECT set_config('app.user_id', ${'8'}, false)`;
		return [...seen, await ask(one), await ask(two)];
	}),
	errors: () => connections(1, async (sql) => {
		const seen = [];
		for (const text of ['SELECT 1/0', 'SELEKT 1', 'SELECT * FROM no_such_table', 'SELECT 1'])
			seen.push(await code(sql.unsafe(text)));
		seen.push(await code(sql.begin(async (block) => {
			await block`SELECT 1`;
			seen.push(await code(block.savepoint((inner) => inner`SELECT 1/0`)));
			await block`SELECT 'x'::int`;
		})));
		return [...seen, await value(sql`SELECT 5 AS v`)];
	}),
	cancel: () => connections(2, async (one, two) => {
		const query = one`SELECT pg_sleep(30)`;
		const ended = code(query);
		await sleep(300);
		query.cancel();
		return [await ended, await value(one`SELECT 1 AS v`), await value(two`SELECT 2 AS v`)];
	}),
	copy: () => connections(2, async (one, two) => {
		await one`DROP TABLE IF EXISTS d_copy`;
		await one`CREATE TABLE d_copy (a int, b text)`;
		const into = await one`COPY d_copy FROM STDIN`.writable();
		await new Promise((done, failed) => {
			into.on('finish', done).on('error', failed);
			into.end(Array.from({ length: 10000 }, (_, i) => `${i}\trow ${i}\n`).join(''));
		});
		const seen = [await value(two`SELECT count(*) || ' ' || sum(a) AS v FROM d_copy`)];
		let length = 0; // more than 16 kB at once would stop postgres.js for ever, PostgreSQL or not
		for await (const part of await two`COPY (SELECT * FROM d_copy LIMIT 500) TO STDOUT`.readable())
			length += part.length;
		await one`DROP TABLE d_copy`;
		return [...seen, length];
	}),
	listen: () => connections(2, async (one, two) => {
		const heard = [];
		await one.listen('d_news', (payload) => heard.push(payload));
		await two.notify('d_news', 'hello');
		await two`NOTIFY d_news, 'again'`;
		for (let i = 0; i < 100 && heard.length < 2; i++)
			await sleep(50);
		return heard;
	}),
	temp_table: () => connections(3, async (one, two, three) => {
		await one`CREATE TEMP TABLE d_temp (a int)`;
		await two`CREATE TEMP TABLE d_temp (a text)`;
		await one`INSERT INTO d_temp ${one([{ a: 1 }, { a: 2 }])}`;
		await two`INSERT INTO d_temp VALUES (${'x'})`;
		const seen = [await value(one`SELECT sum(a) FROM d_temp`), await value(two`SELECT max(a) FROM d_temp`),
			await code(three`SELECT a FROM d_temp`)];
		await one`DROP TABLE d_temp`;
		return [...seen, await code(one`SELECT a FROM d_temp`)];
	}),
	advisory_lock: () => connections(2, async (one, two) => [
		await value(one`SELECT pg_try_advisory_lock(82)`), await value(two`SELECT pg_try_advisory_lock(82)`),
		await value(one`SELECT pg_advisory_unlock(82)`), await value(two`SELECT pg_try_advisory_lock(82)`),
		await value(two`SELECT pg_advisory_unlock(82)`)]),
	cursor: () => connections(2, async (...all) => {
		const sums = await Promise.all(all.map(async (sql, k) => {
			let sum = 0;
			for await (const rows of sql`SELECT generate_series(1, 1000) * ${k + 1}::int AS v`.cursor(100))
				sum += rows.reduce((s, r) => s + r.v, 0);
			return sum;
		}));
		return sums;
	}),
	big_value: () => connections(1, async (sql) => {
		const big = '0123456789abcdef'.repeat(BIG / 16);
		return [await value(sql`SELECT md5(${big})`), await value(sql`SELECT ${big}::text`) === big];
	}),
	wrong_password: () => loginError({ password: 'wrong' }),
	unknown_database: () => loginError({ database: 'no_such_database' }),
	tls: () => connections(2, async (one, two) => [await value(one`SELECT 1`), await value(two`SELECT 2`)], tlsTarget),
	pool: () => connections(1, async (sql) => {
		const rows = await Promise.all(Array.from({ length: 60 }, (_, i) => sql`SELECT ${i}::int AS v`));
		return rows.reduce((s, r) => s + r[0].v, 0);
	}, { max: CLIENTS }),
	pipeline_in_transaction: () => connections(3, async (...all) => {
		const results = await Promise.all(all.map((sql, k) => sql.begin((block) =>
			Array.from({ length: 20 }, (_, i) => block`SELECT ${i * k}::int AS v`))));
		return results.map((rows) => rows.reduce((s, r) => s + r[0].v, 0));
	}),
});
