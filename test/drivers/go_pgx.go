// pgx: its own interface, which prepares and describes by itself, and through database/sql.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	_ "github.com/jackc/pgx/v4/stdlib"
)

var background = context.Background()

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return err.Error()
}

func open(count int) (all []*pgx.Conn) {
	for i := 0; i < count; i++ {
		conn, err := pgx.Connect(background, usual())
		must(err)
		all = append(all, conn)
	}
	return
}

func closeAll(all []*pgx.Conn) {
	for _, conn := range all {
		conn.Close(background)
	}
}

func main() {
	common("pgx", code)
	behaviour("cancel", func() []interface{} {
		all := open(2)
		defer closeAll(all)
		ctx, stop := context.WithTimeout(background, 300*time.Millisecond)
		defer stop()
		_, err := all[0].Exec(ctx, "SELECT pg_sleep(30)")
		var two int
		must(all[1].QueryRow(background, "SELECT 2").Scan(&two))
		return []interface{}{err != nil, two}
	})
	behaviour("copy", func() []interface{} {
		all := open(2)
		defer closeAll(all)
		_, err := all[0].Exec(background, "DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
		must(err)
		var rows [][]interface{}
		for i := 0; i < 10000; i++ {
			rows = append(rows, []interface{}{i, fmt.Sprintf("row %d", i)})
		}
		copied, err := all[0].CopyFrom(background, pgx.Identifier{"d_copy"}, []string{"a", "b"}, pgx.CopyFromRows(rows))
		must(err)
		var sum int
		must(all[1].QueryRow(background, "SELECT sum(a) FROM d_copy").Scan(&sum))
		_, err = all[0].Exec(background, "DROP TABLE d_copy")
		must(err)
		return []interface{}{copied, sum}
	})
	behaviour("listen", func() (heard []interface{}) {
		all := open(2)
		defer closeAll(all)
		_, err := all[0].Exec(background, "LISTEN d_news")
		must(err)
		_, err = all[1].Exec(background, "NOTIFY d_news, 'hello'")
		must(err)
		_, err = all[1].Exec(background, "SELECT pg_notify($1, $2)", "d_news", "again")
		must(err)
		ctx, stop := context.WithTimeout(background, 10*time.Second)
		defer stop()
		for len(heard) < 2 {
			n, err := all[0].WaitForNotification(ctx)
			must(err)
			heard = append(heard, n.Channel+" "+n.Payload)
		}
		return
	})
	behaviour("batch", func() (seen []interface{}) {
		all := open(3)
		defer closeAll(all)
		for k, conn := range all {
			batch := &pgx.Batch{}
			for i := 0; i < 50; i++ {
				batch.Queue("SELECT $1::int * $2::int", i, k)
			}
			results, sum := conn.SendBatch(background, batch), 0
			for i := 0; i < 50; i++ {
				var v int
				must(results.QueryRow().Scan(&v))
				sum += v
			}
			must(results.Close())
			seen = append(seen, sum)
		}
		return
	})
	behaviour("statement_cache", func() []interface{} {
		all := open(clients)
		defer closeAll(all)
		sum := 0
		for i := 0; i < 20; i++ {
			for k, conn := range all {
				var v int
				must(conn.QueryRow(background, fmt.Sprintf("SELECT $1::int + %d", k), i).Scan(&v))
				sum += v
			}
		}
		return []interface{}{sum}
	})
}
