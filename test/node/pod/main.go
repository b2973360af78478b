// Command pod is the program in the pods of tests. It links to nothing, so that an image
// needs no other file.
//
//	pod pause            waits, as the first process of a pod
//	pod serve PORT       answers HTTP requests with the host's name
//	pod get URL          prints the answer to a request
//	pod lookup NAME      prints the addresses of a name
//	pod txt NAME         prints the TXT values of a name
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(append(os.Args[1:], "")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch args[0] {
	case "pause", "":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
		<-stop
		return nil
	case "serve":
		server := &http.Server{Addr: ":" + args[1], ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			name, _ := os.Hostname()
			_, _ = fmt.Fprintln(w, name)
		})}
		return server.ListenAndServe()
	case "get":
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[1], nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(os.Stdout, response.Body)
		return err
	case "lookup":
		return list(net.DefaultResolver.LookupHost(ctx, args[1]))
	case "txt":
		return list(net.DefaultResolver.LookupTXT(ctx, args[1]))
	}
	return errors.New("unknown command " + args[0])
}

func list(values []string, err error) error {
	if err == nil {
		fmt.Println(strings.Join(values, "\n"))
	}
	return err
}
