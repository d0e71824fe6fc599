"""Everything customers and managers read outside the web pages: questions, replies, alert sentences, translations."""
