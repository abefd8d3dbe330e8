// knex over pg: schema builder, transactions with savepoints, migrations with their lock table.
const { behaviours, copy, hear, code, firstLine, BIG, CLIENTS, target, tlsTarget } = require('./node_behave.js');
const knex = (more = {}, rest = {}) => require('knex')({ client: 'pg', connection: { ...target, ...more }, pool: { min: 0, max: CLIENTS }, ...rest });

const db = knex();
const value = async (query) => Object.values((await query).rows[0])[0];

// Connections of a pool of their own, taken out of it: `work` gets for each what runs a text there, and
// `value` and `client`, node-postgres's own, for what knex has nothing for.
async function connections(count, work) {
	const own = knex();
	const clients = await Promise.all(Array.from({ length: count }, () => own.client.acquireConnection()));
	const all = clients.map((client) => {
		const run = (text, values = []) => own.raw(text, values).connection(client);
		return Object.assign(run, { client, value: (text, values) => value(run(text, values)) });
	});
	try {
		return await work(...all);
	} finally {
		await Promise.all(clients.map((client) => own.client.releaseConnection(client)));
		await own.destroy();
	}
}

async function loginError(more) {
	const other = knex(more);
	try {
		await other.raw('SELECT 1');
		return 'no error';
	} catch (error) {
		return `${error.code} ${firstLine(error.message)}`;
	} finally {
		await other.destroy();
	}
}

const migrations = {
	getMigrations: async () => ['one', 'two'],
	getMigrationName: (name) => name,
	getMigration: async (name) => ({
		up: (on) => on.schema.createTable(`d_knex_${name}`, (t) => { t.increments('id'); t.text('note').unique(); }),
		down: (on) => on.schema.dropTable(`d_knex_${name}`),
	}),
};
const where = { migrationSource: migrations, tableName: 'd_knex_migrations' };

behaviours({
	migration: async () => {
		await db.migrate.rollback(where, true);
		const seen = [(await db.migrate.latest(where))[1], (await db.migrate.latest(where))[1]];
		return [...seen, (await db.migrate.currentVersion(where))];
	},
	prepared: async () => {
		const rows = await Promise.all(Array.from({ length: 80 }, (_, i) => db.raw(`SELECT ?::int * ${i % 5} AS v`, [i])));
		return rows.reduce((s, r) => s + r.rows[0].v, 0);
	},
	transaction: async () => {
		const ids = await Promise.all(Array.from({ length: 10 }, (_, i) => db.transaction(async (block) => {
			const [row] = await block('d_knex_one').insert({ note: `n${i}` }).returning('id');
			await block.transaction(async (inner) => {
				await inner('d_knex_one').insert({ note: `n${i}` });
			}).catch(() => {});
			const found = await block('d_knex_one').where({ id: row.id }).forUpdate().first();
			if (i % 2)
				throw new Error('roll back');
			return found.note;
		}).catch((error) => error.message)));
		return [...ids, (await db('d_knex_one').count('* as n'))[0].n];
	},
	errors: async () => [await code(db.raw('SELECT 1/0')), await code(db.raw('SELEKT 1')),
		await code(db('no_such_table').select()), await code(db('d_knex_one').insert({ note: 'n0' })), await value(db.raw('SELECT 5 AS v'))],
	cancel: async () => {
		// by pg_cancel_backend(); the error comes in any case: the connection's next query tells whether it was heard
		const began = Date.now();
		const result = await db.raw('SELECT pg_sleep(10)').timeout(300, { cancel: true }).catch((error) => error.name);
		return [result, await value(db.raw('SELECT 1 AS v')), Date.now() - began < 6000];
	},
	settings: () => connections(CLIENTS, async (...all) => {
		const seen = [];
		await Promise.all(all.map((run, i) => run(
			`SET TimeZone = 'Etc/GMT+${i}'; SET statement_timeout = ${60000 + i}; SET search_path = pg_catalog, d${i}`)));
		for (const run of [...all, ...all]) {
			await run('BEGIN');
			await run("SET LOCAL work_mem = '7MB'");
			await run('SET statement_timeout = 5000');
			await run('ROLLBACK');
			for (const name of ['TimeZone', 'statement_timeout', 'search_path', 'work_mem'])
				seen.push(await run.value(`SHOW ${name}`));
		}
		await all[0]('RESET ALL');
		return [...seen, await all[0].value('SHOW statement_timeout')];
	}),
	custom_setting: () => connections(2, async (one, two) => {
		const ask = "SELECT current_setting('app.user_id', true) AS v";
		await one("SET app.user_id = '7'");
		const seen = [await one.value(ask), await two.value(ask)];
		await one("SELECT set_config('app.user_id', ?, false)", ['8']);
		return [...seen, await one.value(ask), await two.value(ask)];
	}),
	copy: () => connections(2, (one, two) => copy(one.client, two.client, async (client, text) => value(client.query(text)))),
	listen: () => connections(2, (one, two) => hear(one.client, async () => {
		await one('LISTEN d_news');
		await two("NOTIFY d_news, 'hello'");
		await two('SELECT pg_notify(?, ?)', ['d_news', 'again']);
	})),
	temp_table: () => connections(3, async (one, two, three) => {
		await one('CREATE TEMP TABLE d_temp (a int)');
		await two('CREATE TEMP TABLE d_temp (a text)');
		await db('d_temp').insert([{ a: 1 }, { a: 2 }]).connection(one.client);
		await db('d_temp').insert({ a: 'x' }).connection(two.client);
		const seen = [await one.value('SELECT sum(a) FROM d_temp'), await two.value('SELECT max(a) FROM d_temp'),
			await code(three('SELECT a FROM d_temp'))];
		await one('DROP TABLE d_temp');
		return [...seen, await code(one('SELECT a FROM d_temp'))];
	}),
	advisory_lock: () => connections(2, async (one, two) => [
		await one.value('SELECT pg_try_advisory_lock(?)', [92]), await two.value('SELECT pg_try_advisory_lock(?)', [92]),
		await one.value('SELECT pg_advisory_unlock(?)', [92]), await two.value('SELECT pg_try_advisory_lock(?)', [92]),
		await two.value('SELECT pg_advisory_unlock(?)', [92])]),
	cursor: async () => {
		const blocks = await Promise.all([1, 2, 3].map(() => db.transaction()));
		for (const [k, block] of blocks.entries())
			await block.raw(`DECLARE c CURSOR FOR SELECT generate_series(1, 1000) * ${k + 1} AS v`);
		const sums = [0, 0, 0];
		for (let i = 0; i < 10; i++)
			for (const [k, block] of blocks.entries())
				sums[k] += (await block.raw('FETCH 100 FROM c')).rows.reduce((s, r) => s + r.v, 0);
		for (const block of blocks)
			await block.commit();
		return sums;
	},
	big_value: async () => {
		const big = '0123456789abcdef'.repeat(BIG / 16);
		return await value(db.raw('SELECT ?::text AS v', [big])) === big;
	},
	wrong_password: () => loginError({ password: 'wrong' }),
	unknown_database: () => loginError({ database: 'no_such_database' }),
	tls: async () => {
		const other = knex(tlsTarget);
		const seen = await value(other.raw('SELECT 1 AS v'));
		await other.destroy();
		return seen;
	},
	search_path: async () => {
		const other = knex({}, { searchPath: ['d_own', 'public'] });
		const seen = [await value(other.raw('SHOW search_path')), await value(db.raw('SHOW search_path'))];
		await other.destroy();
		return seen;
	},
	rollback: async () => {
		const seen = (await db.migrate.rollback(where, true))[1];
		await db.schema.dropTable('d_knex_migrations').dropTable('d_knex_migrations_lock');
		return seen;
	},
});
