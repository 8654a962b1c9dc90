// Command newuser is the story of a new user who gets a welcome mail.
package main

func main() {}
