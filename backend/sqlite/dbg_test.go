package sqlite
import ("testing";"path/filepath";"sync";"time";"context";"database/sql")
func TestDbg(t *testing.T) {
 path := filepath.Join(t.TempDir(), "e.db")
 b := openBus(t, path, nil)
 var wg sync.WaitGroup
 end := time.Now().Add(4*time.Second)
 for range 64 { wg.Go(func(){ for time.Now().Before(end) { b.Publish(context.Background(), benchEvent()) } }) }
 wg.Wait()
 db, _ := sql.Open("sqlite", dsn(path)); defer db.Close()
 var n, c int
 db.QueryRow(`SELECT count(*), count(distinct at) FROM "earshot:earshot"`).Scan(&n,&c)
 t.Log(n, c, n/c, 4*time.Second/time.Duration(c))
}
