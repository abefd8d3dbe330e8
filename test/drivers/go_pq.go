// lib/pq, through database/sql.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"
)

func code(err error) string {
	if e, ok := err.(*pq.Error); ok {
		return string(e.Code)
	}
	return err.Error()
}

func main() {
	common("postgres", code)
	behaviour("cancel", func() []interface{} {
		db, err := sql.Open("postgres", usual())
		must(err)
		defer db.Close()
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		_, err = db.ExecContext(ctx, "SELECT pg_sleep(30)")
		var one int
		must(db.QueryRow("SELECT 1").Scan(&one))
		return []interface{}{code(err), one}
	})
	behaviour("copy", func() []interface{} {
		db, err := sql.Open("postgres", usual())
		must(err)
		defer db.Close()
		_, err = db.Exec("DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
		must(err)
		tx, err := db.Begin()
		must(err)
		stmt, err := tx.Prepare(pq.CopyIn("d_copy", "a", "b"))
		must(err)
		for i := 0; i < 10000; i++ {
			_, err = stmt.Exec(i, fmt.Sprintf("row %d", i))
			must(err)
		}
		_, err = stmt.Exec()
		must(err)
		must(stmt.Close())
		must(tx.Commit())
		var count, sum int
		must(db.QueryRow("SELECT count(*), sum(a) FROM d_copy").Scan(&count, &sum))
		_, err = db.Exec("DROP TABLE d_copy")
		must(err)
		return []interface{}{count, sum}
	})
	behaviour("listen", func() []interface{} {
		listener := pq.NewListener(usual(), time.Second, time.Second, nil)
		defer listener.Close()
		must(listener.Listen("d_news"))
		db, err := sql.Open("postgres", usual())
		must(err)
		defer db.Close()
		_, err = db.Exec("NOTIFY d_news, 'hello'")
		must(err)
		_, err = db.Exec("SELECT pg_notify($1, $2)", "d_news", "again")
		must(err)
		var heard []interface{}
		for len(heard) < 2 {
			select {
			case n := <-listener.Notify:
				heard = append(heard, n.Channel+" "+n.Extra)
			case <-time.After(10 * time.Second):
				return append(heard, "silence")
			}
		}
		return heard
	})
}
