// What the Go scripts share; each is built with this file.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
)

const clients = 5
const bigLength = 10 * 1024 * 1024

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func behaviour(name string, work func() []interface{}) {
	defer func() {
		if why := recover(); why != nil {
			fmt.Printf("%s: failed: %s\n", name, strings.Split(fmt.Sprint(why), "\n")[0])
		}
	}()
	seen := work()
	fmt.Printf("%s: %s\n", name, strings.Trim(fmt.Sprint(seen...), "[]"))
}

func url(user, password, database, mode string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%s/%s?sslmode=%s&sslrootcert=%s", user, password,
		os.Getenv("PGPORT"), database, mode, os.Getenv("DRIVER_CA"))
}

func usual() string {
	return url(os.Getenv("PGUSER"), os.Getenv("PGPASSWORD"), os.Getenv("PGDATABASE"), "disable")
}

// What database/sql shows of both drivers, through handles with one connection each.
func common(driver string, code func(error) string) {
	open := func(count int) (all []*sql.DB) {
		for i := 0; i < count; i++ {
			db, err := sql.Open(driver, usual())
			must(err)
			db.SetMaxOpenConns(1)
			all = append(all, db)
		}
		return
	}
	closeAll := func(all []*sql.DB) {
		for _, db := range all {
			db.Close()
		}
	}
	value := func(q interface {
		QueryRow(string, ...interface{}) *sql.Row
	}, text string, args ...interface{}) string {
		var v sql.NullString
		if err := q.QueryRow(text, args...).Scan(&v); err != nil {
			return code(err)
		}
		if !v.Valid {
			return "null"
		}
		return v.String
	}
	run := func(db *sql.DB, text string, args ...interface{}) {
		_, err := db.Exec(text, args...)
		must(err)
	}

	behaviour("prepared", func() []interface{} {
		all := open(clients)
		defer closeAll(all)
		var own, same []*sql.Stmt
		for k, db := range all {
			s, err := db.Prepare(fmt.Sprintf("SELECT $1::int * %d", k))
			must(err)
			t, err := db.Prepare("SELECT $1::int + 1")
			must(err)
			own, same = append(own, s), append(same, t)
		}
		sum := 0
		for i := 0; i < 8; i++ {
			for k := range all {
				for _, s := range []*sql.Stmt{own[k], same[k]} {
					var v int
					must(s.QueryRow(i).Scan(&v))
					sum += v
				}
			}
		}
		return []interface{}{sum}
	})
	behaviour("settings", func() (seen []interface{}) {
		all := open(clients)
		defer closeAll(all)
		for i, db := range all {
			run(db, fmt.Sprintf("SET TimeZone = 'Etc/GMT+%d'", i))
			run(db, fmt.Sprintf("SET search_path = d%d", i))
		}
		for _, db := range append(all, all...) {
			tx, err := db.Begin()
			must(err)
			_, err = tx.Exec("SET LOCAL work_mem = '7MB'")
			must(err)
			_, err = tx.Exec("SET statement_timeout = 5000")
			must(err)
			must(tx.Rollback())
			for _, name := range []string{"TimeZone", "statement_timeout", "search_path", "work_mem"} {
				seen = append(seen, value(db, "SHOW "+name))
			}
		}
		return
	})
	behaviour("custom_setting", func() []interface{} {
		all := open(2)
		defer closeAll(all)
		ask := "SELECT current_setting('app.user_id', true)"
		run(all[0], "SET app.user_id = '7'")
		seen := []interface{}{value(all[0], ask), value(all[1], ask)}
		value(all[0], "SELECT set_config('app.user_id', $1, false)", "8")
		return append(seen, value(all[0], ask), value(all[1], ask))
	})
	behaviour("errors", func() (seen []interface{}) {
		all := open(1)
		defer closeAll(all)
		for _, text := range []string{"SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1"} {
			seen = append(seen, value(all[0], text))
		}
		tx, err := all[0].Begin()
		must(err)
		for _, text := range []string{"SELECT 1", "SELECT 'x'::int", "SELECT 1"} {
			seen = append(seen, value(tx, text))
		}
		must(tx.Rollback())
		return append(seen, value(all[0], "SELECT 5"))
	})
	behaviour("temp_table", func() []interface{} {
		all := open(3)
		defer closeAll(all)
		run(all[0], "CREATE TEMP TABLE d_temp (a int)")
		run(all[1], "CREATE TEMP TABLE d_temp (a text)")
		run(all[0], "INSERT INTO d_temp VALUES ($1), ($2)", 1, 2)
		run(all[1], "INSERT INTO d_temp VALUES ($1)", "x")
		seen := []interface{}{value(all[0], "SELECT sum(a) FROM d_temp"), value(all[1], "SELECT max(a) FROM d_temp"),
			value(all[2], "SELECT a FROM d_temp")}
		run(all[0], "DROP TABLE d_temp")
		return append(seen, value(all[0], "SELECT a FROM d_temp"))
	})
	behaviour("advisory_lock", func() []interface{} {
		all := open(2)
		defer closeAll(all)
		return []interface{}{value(all[0], "SELECT pg_try_advisory_lock($1)", 91),
			value(all[1], "SELECT pg_try_advisory_lock($1)", 91), value(all[0], "SELECT pg_advisory_unlock($1)", 91),
			value(all[1], "SELECT pg_try_advisory_lock($1)", 91), value(all[1], "SELECT pg_advisory_unlock($1)", 91)}
	})
	behaviour("cursor", func() (seen []interface{}) {
		all := open(3)
		defer closeAll(all)
		var blocks []*sql.Tx
		for k, db := range all {
			tx, err := db.Begin()
			must(err)
			_, err = tx.Exec(fmt.Sprintf("DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 1000) * %d", k+1))
			must(err)
			blocks = append(blocks, tx)
		}
		for i := 0; i < 5; i++ {
			for _, tx := range blocks {
				seen = append(seen, value(tx, "FETCH RELATIVE 100 FROM c"))
			}
		}
		for _, tx := range blocks {
			must(tx.Commit())
		}
		return
	})
	behaviour("big_value", func() []interface{} {
		all := open(1)
		defer closeAll(all)
		big := strings.Repeat("0123456789abcdef", bigLength/16)
		return []interface{}{value(all[0], "SELECT md5($1)", big), value(all[0], "SELECT $1::text", big) == big}
	})
	loginError := func(target string) []interface{} {
		db, err := sql.Open(driver, target)
		must(err)
		defer db.Close()
		if err = db.Ping(); err == nil {
			return []interface{}{"no error"}
		}
		return []interface{}{code(err)}
	}
	behaviour("wrong_password", func() []interface{} {
		return loginError(url("app", "wrong", "app", "disable"))
	})
	behaviour("unknown_database", func() []interface{} {
		return loginError(url("app", os.Getenv("PGPASSWORD"), "no_such_database", "disable"))
	})
	behaviour("tls", func() []interface{} {
		return loginError(url("app", os.Getenv("PGPASSWORD"), "app", "verify-full"))
	})
	behaviour("pool", func() []interface{} {
		db, err := sql.Open(driver, usual())
		must(err)
		defer db.Close()
		db.SetMaxOpenConns(clients)
		sums := make(chan int, clients)
		for k := 0; k < clients; k++ {
			go func(k int) {
				sum := 0
				for i := 0; i < 50; i++ {
					var v int
					if err := db.QueryRow("SELECT $1::int * $2::int", i, k).Scan(&v); err != nil {
						v = -1000000
					}
					sum += v
				}
				sums <- sum
			}(k)
		}
		total := 0
		for k := 0; k < clients; k++ {
			total += <-sums
		}
		return []interface{}{total}
	})
}
